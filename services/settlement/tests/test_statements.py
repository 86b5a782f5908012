"""Bookings on several pages, days and partners: breaks that open, close or do not occur."""

from dataclasses import replace
from datetime import UTC, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from settlement_builders import NOW, instruction, requested

from payment_schemas.money import Money
from service_runtime.errors import Unavailable
from settlement.clients import StatementPage
from settlement.domain import Status
from settlement.domain.reconciliation import CaseStatus, Proposal, Refused, Resolution
from settlement.domain.statements import Finding, Reading, StatementEntry, breaks_of

PAID = Money(520_000, "USD")
MORE = Money(520_001, "USD")
DAY = timedelta(days=1)
SETTLED = instruction(status=Status.SETTLED)


def entry(number=1, booked_s=0, **fields):
    """Return a line with the bank's reference of the transfer and the time of the movement."""
    booked_at = NOW + timedelta(seconds=booked_s)
    named = {"bank_reference": f"B-{number}", "booked_at": booked_at, **fields}
    return StatementEntry(instruction(number).uetr, named.pop("money", PAID), **named)


def unnamed(number=1):
    return StatementEntry(instruction(number).uetr, PAID)


async def settle(world, *numbers):
    """Settle transfers and set the clock just after; return the day."""
    await world.request(*[requested(number) for number in numbers])
    await world.send()
    row = await world.row_of(instruction(numbers[0]))
    world.clock.time = row["updated_at"].astimezone(UTC) + timedelta(seconds=5)
    return world.clock.now().date()


async def read(world, day, *entries, partner="first-bank", rows=1000):
    """Reconcile with a statement of these lines, `rows` on a page."""
    bank = world.bank if partner == "first-bank" else world.north
    bank.statements[day], bank.statement_rows = list(entries), rows
    return (await world.reconciliation().reconcile(partner, day)).as_dict()


async def unresolved(world):
    return [(row["kind"], row["details"]) for row in await world.list_cases()]


TWICE = ("MISSING_HERE", "booked there 2 times")


@pytest.mark.parametrize("line", [entry(1, booked_s=60), unnamed()], ids=["named", "unnamed"])
async def test_a_double_booking_on_two_pages_is_one_case_after_every_reading(world, line):
    first = entry() if line.booked_at else unnamed()
    day = await settle(world, 1, 2)
    for opened in (1, 0):
        report = await read(world, day, first, entry(2), line, rows=1)
        assert (report["missing_here"], report["cases_opened"]) == (1, opened)
        assert [case["details"] for case in report["breaks"]] == ["booked there 2 times"]
    assert await unresolved(world) == [TWICE]
    assert world.audit_entries() == [("CASE_OPENED", "settlement")]


async def test_a_second_booking_on_a_later_day_is_found(world):
    day = await settle(world, 1)
    assert (await read(world, day, entry()))["matched"] == 1
    # The first day's statement is not read again.
    world.bank.statements.clear()
    world.clock.pass_time(days=4)
    report = await read(world, day + 4 * DAY, entry(booked_s=4 * 86_400))
    assert (report["missing_here"], report["matched"]) == (1, 0)
    assert await unresolved(world) == [TWICE]


async def test_the_same_line_on_two_pages_or_two_days_is_one_booking(world):
    day = await settle(world, 1, 2)
    report = await read(world, day, entry(), entry(2), entry(), entry(2), rows=2)
    assert report["breaks"] == []
    assert (await read(world, day + DAY, entry(), entry(2)))["breaks"] == []
    assert await unresolved(world) == []


async def test_a_second_booking_with_another_amount_is_two_breaks(world):
    day = await settle(world, 1)
    await read(world, day, entry())
    await read(world, day + DAY, entry(booked_s=86_400, money=MORE))
    differs = ("AMOUNT_DIFFERS", "5200.01 USD there, 5200.00 USD here")
    assert sorted(await unresolved(world)) == [differs, TWICE]


async def test_a_second_booking_at_another_bank_is_found(world):
    day = await settle(world, 1)
    await read(world, day, entry())
    await read(world, day + DAY, entry(booked_s=86_400), partner="north-bank")
    assert await unresolved(world) == [
        ("MISSING_HERE", "booked there, sent to first-bank by us"),
    ]


async def test_a_third_booking_is_a_new_case_after_the_second_was_explained(world):
    day = await settle(world, 1)
    await read(world, day, entry(), entry(booked_s=1))
    (case,) = await world.list_cases()
    proposal = Proposal(Resolution.EXPLAINED, "alice", "the bank reverses it tomorrow")
    await world.resolutions().resolve(case["id"], proposal)
    assert (await read(world, day, entry(), entry(booked_s=1)))["cases_opened"] == 0
    await read(world, day + DAY, entry(booked_s=86_400))
    assert await unresolved(world) == [("MISSING_HERE", "booked there 3 times")]


async def test_a_booking_on_the_next_day_closes_the_case_of_the_missing_transfer(world):
    day = await settle(world, 1)
    assert (await read(world, day))["missing_there"] == 1
    assert await unresolved(world) == [
        ("MISSING_THERE", "SETTLED here, not on the statement there"),
    ]
    published = world.published()
    report = await read(world, day + DAY, entry(booked_s=86_400))
    assert (report["matched"], report["breaks"], report["cases_closed"]) == (1, [], 1)
    assert await unresolved(world) == []
    (case,) = await world.list_cases(status=CaseStatus.RESOLVED)
    assert (case["resolution"], case["resolved_by"]) == ("EXPLAINED", "settlement")
    assert case["note"] == f"explained by the statement of {day + DAY}"
    assert world.audit_entries() == [("CASE_OPENED", "settlement"), ("CASE_RESOLVED", "settlement")]
    assert world.published() == published
    assert (await read(world, day))["missing_there"] == 0


async def test_a_booking_on_the_day_before_settlement_is_no_break(world):
    world.bank.loses_answers = True
    await world.request(requested())
    await world.send()
    day = NOW.date() - DAY
    assert (await read(world, day, entry(booked_s=-86_400)))["in_motion"] == 1
    world.bank.loses_answers = False
    await world.later()
    await world.enquire()
    row = await world.row_of(instruction())
    world.clock.time = row["updated_at"].astimezone(UTC) + timedelta(seconds=5)
    assert row["status"] == "SETTLED"
    assert (await read(world, world.clock.now().date()))["breaks"] == []
    assert await world.list_cases() == []


async def test_a_corrected_amount_closes_its_case_and_a_new_wrong_amount_opens_another(world):
    day = await settle(world, 1)
    for _ in range(2):
        assert (await read(world, day, entry(money=MORE)))["cases_opened"] == 1
        report = await read(world, day, entry())
        assert (report["matched"], report["cases_closed"]) == (1, 1)
    await read(world, day, entry(money=MORE))
    assert len(await world.list_cases()) == 1
    assert len(await world.list_cases(status=CaseStatus.RESOLVED)) == 2


async def test_a_reversal_closes_the_case_of_a_double_booking(world):
    day = await settle(world, 1)
    await read(world, day, entry(), entry(booked_s=1))
    back = entry(booked_s=86_400, is_reversal=True)
    assert (await read(world, day + DAY, back))["cases_closed"] == 1
    assert await unresolved(world) == []


async def test_a_reversal_of_a_settled_transfer_is_a_break(world):
    day = await settle(world, 1)
    await read(world, day, entry())
    await read(world, day + DAY, entry(booked_s=86_400, is_reversal=True))
    assert await unresolved(world) == [
        ("MISSING_THERE", "SETTLED here, booked and taken back there"),
    ]


async def test_an_incomplete_statement_opens_no_missing_case_and_is_read_later(world):
    day = await settle(world, 1, 2, 3)
    world.bank.fails_after_rows = 2
    with pytest.raises(Unavailable):
        await read(world, day, entry(1), entry(2), entry(3), rows=1)
    assert await world.list_cases() == []
    world.bank.fails_after_rows = None
    # Some days later the incomplete day is read again.
    world.clock.pass_time(days=3)
    await world.reconciliation().run()
    assert await world.list_cases() == []
    async with world.database.transaction() as tx:
        read_days = await world.cases(tx).days_read("first-bank", day)
    assert read_days == {day + back * DAY for back in range(3)} - {day, day + DAY}


async def test_a_missed_day_is_read_when_the_bank_is_back(world):
    day = await settle(world, 1)
    await world.reconciliation().run()
    world.clock.pass_time(days=1)
    await world.reconciliation().run()
    world.bank.is_down = True
    for _ in range(3):
        world.clock.pass_time(days=1)
        await world.reconciliation().run()
    world.bank.is_down = False
    world.bank.statements[day + 2 * DAY] = [entry(77)]
    await world.reconciliation().run()
    assert ("MISSING_HERE", "booked there, unknown here") in await unresolved(world)


async def test_a_statement_with_a_repeated_cursor_is_unavailable(world):
    cursors = []

    async def statement(_day, after):
        cursors.append(after)
        return StatementPage([entry(77)], "again")

    world.bank.statement = statement
    with pytest.raises(Unavailable, match="has no end"):
        await world.reconciliation().reconcile("first-bank", NOW.date())
    assert cursors == [None, "again"]


async def test_repeated_references_or_a_fast_clock_of_the_bank_cause_no_break(world):
    day = await settle(world, 1, 2)
    ahead = [replace(entry(number, booked_s=10**6), bank_reference="B") for number in (1, 2)]
    report = await read(world, day, *ahead)
    assert (report["matched"], report["breaks"]) == (2, [])


async def test_a_transfer_on_the_banks_statement_cannot_be_returned(world):
    for _ in range(8):
        await world.request(requested(payee="payee-garbled"))
        await world.send()
        await world.enquire()
        world.clock.pass_time(seconds=20)
        await world.later_within_window()
    (case,) = await world.list_cases()
    await read(world, NOW.date(), entry())
    resolutions = world.resolutions()
    back = Proposal(Resolution.RETURN, "alice", "their clerk")
    assert isinstance(await resolutions.resolve(case["id"], back), Refused)
    for actor, approves in (("alice", False), ("bob", True)):
        proposal = Proposal(Resolution.SETTLE, actor, "booked", approves)
        await resolutions.resolve(case["id"], proposal)
    assert world.published()[-1][0] == "SETTLED"


lines = st.builds(
    entry,
    st.integers(1, 3),
    st.integers(0, 3),
    money=st.sampled_from([PAID, MORE]),
    is_reversal=st.booleans(),
)


def movement(line):
    return line.uetr, line.booked_at, line.is_reversal


@given(st.lists(lines, max_size=12, unique_by=movement), st.data())
def test_the_split_into_pages_and_days_changes_no_booking(entries, data):
    def found(cut):
        return {
            booking.id: booking.entry
            for number, page in enumerate(cut)
            for booking in Reading("first-bank", NOW.date() + number * DAY).bookings(page)
        }

    cuts = sorted(data.draw(st.lists(st.integers(0, len(entries)), max_size=4)))
    pages = [entries[a:b] for a, b in zip([0, *cuts], [*cuts, len(entries)], strict=True)]
    assert set(found([entries])) == set(found([*pages, *pages]))


@given(st.permutations([entry(booked_s=n, money=m) for n, m in enumerate([PAID, MORE, PAID])]))
def test_the_order_of_bookings_changes_no_break(entries):
    booked = Reading("first-bank", NOW.date()).bookings(entries)
    assert breaks_of("first-bank", booked, SETTLED) == [
        (Finding.AMOUNT_DIFFERS, "5200.01 USD there, 5200.00 USD here"),
        (Finding.MISSING_HERE, "booked there 3 times"),
    ]
