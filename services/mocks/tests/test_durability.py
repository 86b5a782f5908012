"""The partner banks as a process that is killed while it works."""

import threading
import time
from uuid import uuid4

import httpx
import pytest

KILLS = 3


@pytest.fixture
def bank(program, secret_file, tmp_path):
    credentials = secret_file("credentials", '{"first-bank": "secret"}')
    settings = {"MOCK_STATE": str(tmp_path / "state"), "PARTNER_CREDENTIALS_FILE": credentials}
    return program("partner_bank", settings)


class Sender(threading.Thread):
    """Sends batches until the bank is killed; records which got a response."""

    def __init__(self, address):
        super().__init__()
        self._batches = f"{address}/banks/first-bank/transfers:batch"
        self.accepted, self.unanswered = set(), set()

    def run(self):
        with httpx.Client(headers={"Authorization": "Bearer secret"}, timeout=10) as client:
            while not self.unanswered:
                self._send(client, [str(uuid4()) for _ in range(20)])

    def _send(self, client, uetrs):
        transfers = [transfer(uetr) for uetr in uetrs]
        try:
            answer = client.post(self._batches, json={"transfers": transfers})
        except httpx.TransportError:
            self.unanswered.update(uetrs)
            return
        self.accepted |= {one["uetr"] for one in answer.json()["results"]}


def transfer(uetr):
    return {
        "uetr": uetr,
        "end_to_end_id": "tx",
        "amount": "1.00",
        "currency": "USD",
        "debtor_account": "acc-1",
        "creditor_account": "payee-xyz",
    }


def booked(address):
    # A run may pass midnight; no transfer of it is older than a day.
    now = time.time()
    days = {time.strftime("%Y-%m-%d", time.gmtime(now - past)) for past in (0, 86_400)}
    entries = []
    for day in days:
        entries += httpx.get(f"{address}/statement", params={"date": day}).json()["entries"]
    return [entry["uetr"] for entry in entries]


def test_a_killed_bank_loses_no_acknowledged_transfer_and_books_none_twice(bank):
    accepted, unanswered = set(), set()
    for _ in range(KILLS):
        senders = [Sender(bank.address) for _ in range(4)]
        for sender in senders:
            sender.start()
        time.sleep(0.5)
        bank.kill()
        for sender in senders:
            sender.join(timeout=30)
            accepted |= sender.accepted
            unanswered |= sender.unanswered
        bank.start()
    entries = booked(bank.address)
    assert len(accepted) >= KILLS * 20
    assert unanswered
    assert len(entries) == len(set(entries)), "booked twice"
    assert accepted <= set(entries), "lost"
    assert set(entries) <= accepted | unanswered, "booked without a request"


def test_a_transfer_without_a_response_is_settled_once_by_sending_it_again(bank):
    sender = Sender(bank.address)
    sender.start()
    time.sleep(0.3)
    bank.kill()
    sender.join(timeout=30)
    bank.start()
    again = {"transfers": [transfer(uetr) for uetr in sorted(sender.unanswered)]}
    path = f"{bank.address}/banks/first-bank/transfers:batch"
    headers = {"Authorization": "Bearer secret"}
    for _ in range(2):
        assert httpx.post(path, json=again, headers=headers).status_code == 200
    assert sorted(booked(bank.address)) == sorted(sender.accepted | sender.unanswered)


def test_a_bank_stops_while_it_holds_a_request(bank):
    asked = {**transfer(str(uuid4())), "creditor_account": "payee-silent"}
    headers = {"Authorization": "Bearer secret", "Idempotency-Key": asked["uetr"]}
    path = f"{bank.address}/banks/first-bank/transfers"
    answers = []
    caller = threading.Thread(
        target=lambda: answers.append(httpx.post(path, json=asked, headers=headers, timeout=20))
    )
    caller.start()
    time.sleep(0.5)
    begun = time.monotonic()
    assert bank.stop() == 0
    assert time.monotonic() - begun < 3
    caller.join(timeout=10)
    assert [answer.status_code for answer in answers] == [504]
