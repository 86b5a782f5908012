"""A bank with a locked ledger responds 503, and recovers."""

import json
import sqlite3
from uuid import uuid4

import pytest

from mocks.partner_bank import ledger as book_module
from mocks.partner_bank.app import create
from mocks.partner_bank.ledger import FILE_NAME
from mocks.settings import PartnerBankSettings

UETR = str(uuid4())
TRANSFERS = {
    "transfers": [
        {
            "uetr": UETR,
            "end_to_end_id": "tx-987",
            "amount": "5200.00",
            "currency": "USD",
            "debtor_account": "acc-1",
            "creditor_account": "payee-xyz",
        }
    ]
}


@pytest.fixture
async def bank(serve, secret_file, tmp_path, clock, monkeypatch):
    monkeypatch.setattr(book_module, "WAIT_S", 0.3)
    credentials = secret_file("credentials", json.dumps({"first-bank": "secret"}))
    settings = PartnerBankSettings(
        profile="dev", mock_state=tmp_path, PARTNER_CREDENTIALS_FILE=credentials
    )
    async with serve(create(settings, clock)) as client:
        client.headers["Authorization"] = "Bearer secret"
        yield client


async def test_a_locked_ledger_is_a_503_and_then_the_same_request_works(bank, tmp_path):
    path = "/banks/first-bank/transfers:batch"
    other = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
    other.execute("begin immediate")
    answer = await bank.post(path, json=TRANSFERS)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    other.close()
    assert (await bank.post(path, json=TRANSFERS)).status_code == 200


async def test_an_unreadable_ledger_makes_the_bank_unready(bank, monkeypatch):
    assert (await bank.get("/ready")).status_code == 200
    monkeypatch.setattr(book_module, "MAX_WAITING", 0)
    answer = await bank.get("/ready")
    assert (answer.status_code, answer.json()["missing"]) == (503, ["book"])
    assert (await bank.get(f"/banks/first-bank/transfers/{UETR}")).status_code == 503
