"""The partner bank on Kafka: each instruction is booked once, and answered whenever it comes."""

import base64
from datetime import timedelta
from types import SimpleNamespace
from uuid import UUID

import pytest

from mocks.partner_bank.ledger import BankLedger
from mocks.settings import SouthBankSettings
from mocks.south_bank.consumer import STATEMENTS_EVERY, Consumer
from partner_messages.formats import format_of
from partner_messages.keys import Keys, SigningKey
from partner_messages.messages import (
    Party,
    Status,
    instructions_topic,
    reports_topic,
)
from partner_messages.records import Attributes, signed_headers, verified
from testkit.partners import KEYS, OURS, THEIRS, instruction

FORMAT = format_of("json")
TOPIC, REPORTS = instructions_topic("south-bank"), reports_topic("south-bank")


class Published:
    """Countersign's key set."""

    async def keys_at(self, _now):
        return KEYS


class Bank:
    def __init__(self, settings, ledger, clock):
        self.consumer = Consumer(settings, ledger, Published(), clock)
        self.consumer.stated_at = clock.now()
        self.clock = clock
        ring = settings.partner_key.current
        self.keys = Keys.of([SigningKey.of_seed(ring.id, ring.material).public()])

    async def take(self, *records):
        """Handle records; return the messages that leave, verified."""
        sent = await self.consumer.answer(records)
        for one in sent:
            verified(REPORTS, one.headers, one.value, self.keys, self.clock.now())
        return sent

    async def reports(self, *records):
        return [FORMAT.decode_report(one.value) for one in await self.take(*records)]


@pytest.fixture
async def bank(tmp_path, secret_file, clock):
    ring = tmp_path / "ring"
    settings = SouthBankSettings(
        profile="dev",
        mock_state=tmp_path,
        kafka_bootstrap_servers="none",
        partner_jwks_url="http://none",
        PARTNER_KEY_FILE=secret_file(ring.name, RING),
    )
    async with BankLedger(tmp_path) as ledger:
        yield Bank(settings, ledger, clock)


RING = base64.b64encode(bytes(range(64, 96))).decode()


def to(payee, number=1, **fields):
    """Return an instruction for a payee."""
    creditor = Party(account=f"south-{payee}", agent="south-bank")
    uetr = UUID(int=number << 32, version=4)
    return instruction(uetr=uetr, creditor=creditor, **fields)


def record(value, clock, key=OURS):
    raw = value if isinstance(value, bytes) else FORMAT.encode_instruction(value)
    now = clock.now()
    attributes = Attributes(UUID(int=1), "settlement.instruction.v1", "/countersign", now)
    headers = signed_headers(TOPIC, raw, attributes, "application/json", key)
    return SimpleNamespace(topic=TOPIC, value=raw, headers=headers, partition=0, offset=0)


@pytest.mark.parametrize(
    ("payee", "status", "reason"),
    [
        ("shop", Status.ACCEPTED, None),
        ("payee-rejected", Status.REJECTED, "AC04"),
        ("payee-refused", Status.REJECTED, "AC01"),
        ("payee-late", Status.PENDING, None),
        ("payee-silent", Status.PENDING, None),
    ],
)
async def test_the_payee_decides_the_report(bank, clock, payee, status, reason):
    (report,) = await bank.reports(record(to(payee), clock))
    assert (report.status, report.reason) == (status, reason)


async def test_a_repeated_instruction_is_reported_as_the_first_time(bank, clock):
    first = await bank.reports(record(to("shop"), clock))
    clock.pass_seconds(60)
    assert await bank.reports(record(to("shop"), clock)) == first


async def test_a_late_payees_transfer_is_accepted_when_its_time_has_come(bank, clock):
    await bank.take(record(to("payee-late"), clock))
    assert await bank.take() == []
    clock.pass_seconds(10)
    (report,) = await bank.reports()
    assert report.status is Status.ACCEPTED
    assert await bank.take() == []


async def test_a_report_can_be_sent_twice(bank, clock):
    bank.consumer.faults.switch("report_twice", 1.0)
    first, second = await bank.reports(record(to("shop"), clock))
    assert first == second
    assert first.status is Status.ACCEPTED


async def test_a_stale_report_follows_the_outcome_unless_all_are_shuffled(bank, clock):
    bank.consumer.faults.switch("report_stale", 1.0)
    records = [record(to("shop", number), clock) for number in range(1, 21)]
    reports = await bank.reports(*records)
    assert [one.status for one in reports] == [Status.ACCEPTED, Status.PENDING] * 20
    bank.consumer.faults.switch("reports_shuffled", 1.0)
    shuffled = await bank.reports(*records)
    assert shuffled != reports
    assert sorted(shuffled, key=repr) == sorted(reports, key=repr)


async def test_an_expired_instruction_is_rejected(bank, clock):
    late = to("shop", expires_at=clock.now() - timedelta(seconds=1))
    (report,) = await bank.reports(record(late, clock))
    assert (report.status, report.reason) == (Status.REJECTED, "TM01")


async def test_what_countersign_did_not_sign_or_write_stops_nothing_behind_it(bank, clock):
    bad = [record(to("shop", 2), clock, THEIRS), record(b"{", clock)]
    (report,) = await bank.reports(*bad, record(to("shop"), clock))
    assert report.uetr == to("shop").uetr


async def test_a_uetr_that_comes_again_as_another_transfer_is_not_answered(bank, clock):
    await bank.take(record(to("shop"), clock))
    again = [record(to("shop", amount="1.00"), clock), record(to("shop", 2), clock)]
    (report,) = await bank.reports(*again)
    assert report.uetr == to("shop", 2).uetr


async def test_a_report_has_the_uetr_as_its_key_and_the_instructions_trace(bank, clock):
    one = record(to("shop"), clock)
    trace = ("traceparent", b"00-" + b"1" * 32 + b"-" + b"2" * 16 + b"-00")
    one.headers = (*one.headers, trace)
    (sent,) = await bank.take(one)
    assert (sent.key, dict(sent.headers)["traceparent"]) == (
        str(to("shop").uetr).encode(),
        trace[1],
    )


async def test_the_statements_of_yesterday_and_today_are_sent_each_hour_in_pages(bank, clock):
    await bank.take(record(to("shop"), clock), record(to("payee-rejected", 2), clock))
    clock.pass_seconds(STATEMENTS_EVERY.total_seconds() + 1)
    pages = [FORMAT.decode_statement(one.value) for one in await bank.take()]
    assert [(len(one.entries), one.page, one.is_last) for one in pages] == [
        (1, 1, False),
        (0, 2, True),
        (0, 1, True),
    ]
    assert pages[0].entries[0].uetr == to("shop").uetr
    assert await bank.take() == []
