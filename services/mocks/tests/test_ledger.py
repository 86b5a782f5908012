"""The bank's ledger books each transfer once, for any requests in any order."""

import asyncio
import dataclasses
import sqlite3
import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mocks.partner_bank import ledger as book_module
from mocks.partner_bank.ledger import FILE_NAME, BankLedger, Busy, Conflict
from mocks.partner_bank.transfers import TransferOrder, accept
from payment_schemas.money import Money

DAY = date(2026, 11, 20)
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
LATE = timedelta(seconds=10)
PAYEES = ("payee-xyz", "payee-rejected", "payee-late", "payee-silent")


def order(number, amount_minor=None):
    """The nth order; with four payees in turn."""
    uetr = str(UUID(int=number, version=4))
    money = Money(amount_minor or 100 + number, "USD")
    return TransferOrder(uetr, f"tx-{number}", money, "acc-1", PAYEES[number % 4])


def transfers(*numbers, now=NOW, **changed):
    return [accept("first-bank", order(number, **changed), now, LATE) for number in numbers]


async def booked(ledger, now=NOW + LATE, day=DAY, partner=None):
    slices = [one async for one in ledger.statement(day, now, partner)]
    return [entry for one in slices for entry in one]


@pytest.fixture
async def ledger(tmp_path):
    async with BankLedger(tmp_path) as opened:
        yield opened


steps = st.lists(
    st.one_of(
        st.lists(st.integers(0, 11), min_size=1, max_size=8),
        st.just("restart"),
    ),
    max_size=12,
)


@settings(max_examples=60)
@given(steps, st.randoms(use_true_random=False))
def test_a_transfer_moves_money_once_in_any_order_of_repeats_and_restarts(steps, random):
    async def play(folder):
        ledger, asked, first = BankLedger(folder), set(), {}
        await ledger.__aenter__()
        for number, step in enumerate(steps):
            if step == "restart":
                await ledger.__aexit__(None, None, None)
                ledger = BankLedger(folder)
                await ledger.__aenter__()
                continue
            partner = random.choice(["first-bank", "north-bank"])
            now = NOW + timedelta(seconds=number)
            for one in await ledger.insert(partner, transfers(*step, now=now)):
                key = (partner, one.order.uetr)
                assert first.setdefault(key, one) == one, "a repeat must get the first result"
            asked |= {(partner, order(n).uetr, order(n).money, n) for n in step}
        entries = await booked(ledger, NOW + timedelta(minutes=1))
        await ledger.__aexit__(None, None, None)
        expected = [one[:3] for one in asked if PAYEES[one[3] % 4] != "payee-rejected"]
        found = [(e.partner, e.transfer.order.uetr, e.transfer.order.money) for e in entries]
        assert sorted(found, key=str) == sorted(expected, key=str)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(Path(folder)))


@pytest.mark.parametrize(
    "changed",
    [
        {"money": Money(1, "USD")},
        {"money": Money(102, "EUR")},
        {"creditor_account": "payee-other"},
        {"debtor_account": "acc-2"},
        {"end_to_end_id": "tx-other"},
    ],
    ids=lambda changed: next(iter(changed)),
)
async def test_a_uetr_with_another_order_is_a_conflict_and_its_batch_is_not_inserted(
    ledger, changed
):
    await ledger.insert("first-bank", transfers(2))
    other = accept("first-bank", dataclasses.replace(order(2), **changed), NOW, LATE)
    with pytest.raises(Conflict) as conflict:
        await ledger.insert("first-bank", [*transfers(4), other])
    assert conflict.value.position == 1
    assert list(await ledger.find("first-bank", [order(4).uetr])) == []


async def test_a_batch_that_contradicts_itself_is_a_conflict(ledger):
    with pytest.raises(Conflict):
        await ledger.insert("first-bank", [*transfers(0), *transfers(0, amount_minor=7)])
    assert await booked(ledger) == []


async def test_a_late_transfer_is_on_the_statement_after_its_booking_time(ledger):
    await ledger.insert("first-bank", transfers(2))
    assert await booked(ledger, NOW + LATE - timedelta(microseconds=1)) == []
    assert len(await booked(ledger, NOW + LATE)) == 1


async def test_a_statement_is_of_one_day_and_of_one_bank_or_all(ledger):
    midnight = datetime(2026, 11, 21, tzinfo=UTC)
    await ledger.insert("first-bank", transfers(0, now=midnight - timedelta(microseconds=1)))
    await ledger.insert("north-bank", transfers(4, now=midnight))
    late = midnight + timedelta(days=2)
    days = [DAY, DAY + timedelta(days=1), DAY + timedelta(days=2)]
    assert [len(await booked(ledger, late, day)) for day in days] == [1, 1, 0]
    assert await booked(ledger, late, DAY, "north-bank") == []
    assert len(await booked(ledger, late, DAY, "first-bank")) == 1


async def test_a_long_statement_has_slices_without_a_gap_or_a_repeat(ledger, monkeypatch):
    monkeypatch.setattr(book_module, "SLICE_ROWS", 7)
    # All have one booking time, so the slices must order them by position.
    await ledger.insert("first-bank", transfers(*range(0, 200, 4)))
    slices = [one async for one in ledger.statement(DAY, NOW)]
    assert max(map(len, slices)) == 7
    uetrs = [entry.transfer.order.uetr for one in slices for entry in one]
    assert uetrs == [order(number).uetr for number in range(0, 200, 4)]


async def test_the_queue_of_the_ledger_is_bounded(ledger, monkeypatch):
    monkeypatch.setattr(book_module, "MAX_WAITING", 3)
    tried = await asyncio.gather(
        *(ledger.insert("first-bank", transfers(number)) for number in range(8)),
        return_exceptions=True,
    )
    assert [isinstance(one, Busy) for one in tried] == [False] * 3 + [True] * 5
    assert await ledger.insert("first-bank", transfers(99))


async def test_a_ledger_that_does_not_respond_in_time_is_busy_and_recovers(tmp_path, monkeypatch):
    monkeypatch.setattr(book_module, "WAIT_S", 0.3)
    async with BankLedger(tmp_path) as ledger:
        other = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
        other.execute("begin immediate")
        with pytest.raises(Busy):
            await ledger.insert("first-bank", transfers(0))
        other.execute("rollback")
        other.close()
        assert await ledger.insert("first-bank", transfers(0)) == transfers(0)


async def test_a_commit_is_synced_to_the_disk(ledger):
    def mode(connection):
        return [connection.execute(f"pragma {name}").fetchone()[0] for name in PRAGMAS]

    PRAGMAS = ("journal_mode", "synchronous")  # noqa: N806 - named where it is used
    assert await ledger._writer.do(mode) == ["wal", 2]
