"""Comparison of statements with instructions, and resolution of cases by people."""

from dataclasses import replace
from datetime import UTC, timedelta

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from settlement_builders import NOW, instruction, requested

from payment_schemas.money import Money
from service_runtime.errors import Unavailable
from service_runtime.messages import Batch, Cause, Due
from settlement.domain import BankResponse, Kind, Policy, Status
from settlement.domain.reconciliation import (
    Case,
    CaseStatus,
    Proposal,
    Refused,
    Resolution,
    case_of,
    resolve,
)
from settlement.domain.statements import (
    BREAKS,
    Finding,
    Reading,
    StatementEntry,
    breaks_of,
    finding_of,
)
from settlement.handlers import on_due_instructions
from settlement.store import NewInstruction

TODAY = NOW.date()
PAID = Money(520_000, "USD")
DAY = timedelta(days=1)
ONCE = Policy(is_idempotent=False, in_flight_s=60)
SETTLED = instruction(status=Status.SETTLED)
SETTLE, RETURN, EXPLAINED = Resolution.SETTLE, Resolution.RETURN, Resolution.EXPLAINED


def entry(number=1, money=PAID, booked_s=0, **fields):
    """Return a line with the bank's reference of the transfer and the time of the movement."""
    booked_at = NOW + timedelta(seconds=booked_s)
    named = {"bank_reference": f"B-{number}", "booked_at": booked_at, **fields}
    return StatementEntry(instruction(number).uetr, money, **named)


def wanted(resolution, actor="alice"):
    return Proposal(resolution, actor, "confirmed by the bank's clerk")


@pytest.mark.parametrize(
    ("transfer", "money", "finding"),
    [
        (instruction(status=Status.SETTLED), PAID, Finding.MATCHED),
        (instruction(status=Status.SETTLED), Money(520_001, "USD"), Finding.AMOUNT_DIFFERS),
        (instruction(status=Status.SETTLED), Money(520_000, "EUR"), Finding.AMOUNT_DIFFERS),
        (instruction(status=Status.SETTLED), None, Finding.AMOUNT_DIFFERS),
        (instruction(status=Status.REJECTED), PAID, Finding.MISSING_HERE),
        (instruction(partner="north-bank"), PAID, Finding.MISSING_HERE),
        (None, PAID, Finding.MISSING_HERE),
        *[
            (instruction(status=status), PAID, Finding.IN_MOTION)
            for status in (Status.SENDING, Status.SENT, Status.UNKNOWN, Status.RECONCILE)
        ],
        (instruction(status=Status.UNKNOWN), Money(1, "USD"), Finding.AMOUNT_DIFFERS),
    ],
)
def test_each_entry_has_one_finding(transfer, money, finding):
    booked = Reading("first-bank", TODAY).bookings([entry(money=money)])
    found = breaks_of("first-bank", booked, transfer)
    assert [kind for kind, _ in found] == ([finding] if finding in BREAKS else [])
    assert found or finding_of(transfer) is finding


def test_a_repeated_break_is_one_case_and_other_details_are_another_case():
    one = case_of(SETTLED, Finding.MISSING_HERE, TODAY, "booked there 2 times")
    later = case_of(SETTLED, Finding.MISSING_HERE, TODAY + DAY, "booked there 2 times")
    assert one.id == later.id
    thrice = case_of(SETTLED, Finding.MISSING_HERE, TODAY, "booked there 3 times")
    kind = case_of(SETTLED, Finding.AMOUNT_DIFFERS, TODAY, "booked there 2 times")
    there = replace(SETTLED, partner="north-bank")
    partner = case_of(there, Finding.MISSING_HERE, TODAY, "booked there 2 times")
    assert len({one.id, thrice.id, kind.id, partner.id}) == 4


CASE = case_of(instruction(), Finding.OUTCOME_UNKNOWN, TODAY, "x")
OPEN = instruction(status=Status.RECONCILE)


@pytest.mark.parametrize(
    ("transfer", "steps", "status"),
    [
        (OPEN, [(SETTLE, "alice")], "PROPOSED"),
        (OPEN, [(SETTLE, "alice"), (SETTLE, "alice")], "refused"),
        (OPEN, [(SETTLE, "alice"), (SETTLE, "bob")], "RESOLVED"),
        (OPEN, [(SETTLE, "alice"), (RETURN, "bob")], "PROPOSED"),
        (OPEN, [(SETTLE, "alice"), (RETURN, "bob"), (RETURN, "bob")], "refused"),
        (OPEN, [(SETTLE, "alice"), (RETURN, "bob"), (RETURN, "alice")], "RESOLVED"),
        (OPEN, [(EXPLAINED, "alice")], "refused"),
        (SETTLED, [(SETTLE, "alice")], "refused"),
        (SETTLED, [(RETURN, "alice")], "refused"),
        (None, [(RETURN, "alice")], "refused"),
        (SETTLED, [(EXPLAINED, "alice")], "RESOLVED"),
        (None, [(EXPLAINED, "alice")], "RESOLVED"),
        (None, [(EXPLAINED, "alice"), (EXPLAINED, "bob")], "refused"),
    ],
)
def test_a_resolution_depends_on_the_transfer_and_the_actors(transfer, steps, status):
    decided = CASE
    for resolution, actor in steps:
        assert isinstance(decided, Case)
        decided = resolve(decided, wanted(resolution, actor), transfer)
    assert (decided.status if isinstance(decided, Case) else "refused") == status


steps = st.lists(st.tuples(st.sampled_from(Resolution), st.sampled_from(["alice", "bob", "carol"])))


@given(steps, st.sampled_from([OPEN, SETTLED, None]))
def test_one_person_alone_never_moves_money(script, transfer):
    case = CASE
    for resolution, actor in script:
        decided = resolve(case, wanted(resolution, actor), transfer)
        if isinstance(decided, Refused):
            continue
        assert case.status is not CaseStatus.RESOLVED
        assert decided.version == case.version + 1
        case = decided
    if case.status is CaseStatus.RESOLVED and case.resolution is not EXPLAINED:
        assert case.proposed_by != case.resolved_by
        assert transfer is OPEN


async def settle(world, *numbers):
    """Settle transfers and set the clock just after; return the day."""
    await world.request(*[requested(number) for number in numbers])
    await world.send()
    row = await world.row_of(instruction(numbers[0]))
    world.clock.time = row["updated_at"].astimezone(UTC) + timedelta(seconds=5)
    return world.clock.now().date()


async def test_a_matching_statement_opens_no_case(world):
    day = await settle(world, 1, 2, 3)
    world.bank.statements[day] = [entry(number) for number in (1, 2, 3)]
    world.bank.statement_rows = 2
    report = (await world.reconciliation().reconcile("first-bank", day)).as_dict()
    assert (report["matched"], report["breaks"], report["cases_opened"]) == (3, [], 0)
    assert await world.list_cases() == []


async def test_every_break_is_found_once_and_not_repaired(world):
    day = await settle(world, 1, 2, 3)
    other = StatementEntry(instruction(77).uetr, PAID)
    world.bank.statements[day] = [entry(1), entry(2, Money(520_001, "USD")), other]
    for opened in (3, 0):
        report = (await world.reconciliation().reconcile("first-bank", day)).as_dict()
        counts = {name: report[name] for name in ("matched", "amount_differs", "missing_here")}
        assert counts == {"matched": 1, "amount_differs": 1, "missing_here": 1}
        assert (report["missing_there"], report["cases_opened"]) == (1, opened)
    cases = {row["kind"]: row["uetr"] for row in await world.list_cases()}
    assert cases == {
        "AMOUNT_DIFFERS": instruction(2).uetr,
        "MISSING_HERE": instruction(77).uetr,
        "MISSING_THERE": instruction(3).uetr,
    }
    assert world.audit_entries() == [("CASE_OPENED", "settlement")] * 3
    assert {(await world.row_of(instruction(n)))["status"] for n in (1, 2, 3)} == {"SETTLED"}


async def test_a_booking_after_a_rejection_is_a_case_and_changes_no_outcome(world):
    await world.request(requested(payee="payee-rejected"))
    await world.send()
    world.bank.statements[TODAY] = [entry()]
    report = await world.reconciliation().reconcile("first-bank", TODAY)
    assert [(case.kind, case.payment_id) for case in report.breaks] == [
        (Finding.MISSING_HERE, instruction().payment_id)
    ]
    assert (await world.row_of(instruction()))["status"] == "REJECTED"


async def test_a_transfer_booked_before_midnight_and_settled_after_it_is_not_missing(world):
    day = await settle(world, 1, 2)
    world.bank.statements = {day - timedelta(days=1): [entry(1)], day: [entry(2)]}
    report = (await world.reconciliation().reconcile("first-bank", day)).as_dict()
    assert (report["matched"], report["breaks"]) == (1, [])


async def test_a_transfer_settled_after_the_statement_was_read_is_not_missing(world):
    day = await settle(world, 1)
    world.clock.pass_time(seconds=-60)
    report = await world.reconciliation().reconcile("first-bank", day)
    assert report.breaks == []


async def test_a_transfer_on_another_banks_statement_is_missing_here_and_there(world):
    day = await settle(world, 1)
    world.north.statements[day] = [entry(1)]
    found = [
        [case.kind for case in (await world.reconciliation().reconcile(partner, day)).breaks]
        for partner in ("north-bank", "first-bank")
    ]
    assert found == [[Finding.MISSING_HERE], [Finding.MISSING_THERE]]


async def test_a_transfer_twice_on_one_page_is_a_break(world):
    day = await settle(world, 1)
    world.bank.statements[day] = [entry(1), entry(1)]
    report = await world.reconciliation().reconcile("first-bank", day)
    assert [case.details for case in report.breaks] == ["booked there 2 times"]


async def test_a_bank_that_is_down_does_not_stop_the_others(world):
    day = await settle(world, 1)
    world.bank.is_down, world.north.statements[day] = True, [entry(77)]
    with pytest.raises(Unavailable):
        await world.reconciliation().reconcile("first-bank", day)
    await world.reconciliation().run()
    assert [row["partner"] for row in await world.list_cases()] == ["north-bank"]


async def reconciling(world):
    """Bring a transfer to RECONCILE; return the row of its case."""
    world.policy, world.bank.loses_requests = ONCE, True
    await world.request(requested())
    await world.send()
    world.bank.loses_requests = False
    world.clock.pass_time(seconds=61)
    await world.later()
    await world.enquire()
    (row,) = await world.list_cases()
    return row


@pytest.mark.parametrize(("resolution", "status"), [(SETTLE, "SETTLED"), (RETURN, "REJECTED")])
async def test_two_people_end_a_transfer_without_an_outcome(world, resolution, status):
    case = await reconciling(world)
    assert (case["kind"], case["status"]) == ("OUTCOME_UNKNOWN", "OPEN")
    cases = world.resolutions()
    first = await cases.resolve(case["id"], wanted(resolution))
    assert first.status is CaseStatus.PROPOSED
    assert isinstance(await cases.resolve(case["id"], wanted(resolution)), Refused)
    assert (await world.row_of(instruction()))["status"] == "RECONCILE"
    assert isinstance(await cases.resolve(case["id"], wanted(resolution, "settlement")), Refused)
    last = await cases.resolve(case["id"], wanted(resolution, "bob"))
    assert (last.status, last.resolved_by) == (CaseStatus.RESOLVED, "bob")
    assert (await world.row_of(instruction()))["status"] == status
    assert [status for status, _ in world.published()] == ["UNKNOWN", "RECONCILE", status]
    assert len(set(world.event_ids())) == 3
    assert world.audit_entries() == [
        ("CASE_OPENED", "settlement"),
        ("CASE_PROPOSED", "alice"),
        ("CASE_RESOLVED", "bob"),
    ]
    assert await world.list_cases() == []
    assert len(await world.list_cases(status=CaseStatus.RESOLVED)) == 1


async def test_a_response_after_the_decision_of_people_is_ignored(world):
    case = await reconciling(world)
    cases = world.resolutions()
    await cases.resolve(case["id"], wanted(SETTLE))

    async def lose_the_lease(batch):
        await cases.resolve(case["id"], wanted(SETTLE, "bob"))
        return {item.cause.id: BankResponse(Kind.REJECTED, "too_late") for item in batch}

    world.clock.pass_time(seconds=61)
    await world.later()
    await world.enquire(gather=lose_the_lease)
    assert [status for status, _ in world.published()] == ["UNKNOWN", "RECONCILE", "SETTLED"]
    assert (await world.row_of(instruction()))["status"] == "SETTLED"


async def test_a_response_before_the_confirmation_closes_the_case_and_moves_money_once(world):
    case = await reconciling(world)
    await world.resolutions().resolve(case["id"], wanted(RETURN))
    world.bank.booked[instruction().uetr] = 1
    world.clock.pass_time(seconds=61)
    await world.later()
    await world.enquire()
    assert isinstance(await world.resolutions().resolve(case["id"], wanted(RETURN, "bob")), Refused)
    (closed,) = await world.list_cases(status=CaseStatus.RESOLVED)
    assert (closed["resolution"], closed["proposed_by"], closed["resolved_by"]) == (
        "EXPLAINED",
        "alice",
        "settlement",
    )
    assert closed["note"] == "its bank has answered: SETTLED"
    assert (await world.row_of(instruction()))["status"] == "SETTLED"
    assert world.audit_entries()[-1] == ("CASE_RESOLVED", "settlement")


async def test_an_unknown_case_cannot_be_resolved(world):
    assert await world.resolutions().resolve(instruction().uetr, wanted(EXPLAINED)) is None


async def test_a_late_response_opens_one_case(world):
    settled = instruction(status=Status.SETTLED)
    due = Due(settled, Cause(settled.payment_id), epoch=1, attempts=1)
    batch = Batch([due], NOW, {settled.payment_id: BankResponse(Kind.REJECTED)})
    published = []
    for _ in range(2):
        async with world.database.transaction() as tx:
            await world.store(tx).add([NewInstruction(settled)])
            published += await on_due_instructions(batch, world.store(tx), Policy())
    assert [emit.event.action for emit in published] == ["CASE_OPENED"]
    assert [row["kind"] for row in await world.list_cases()] == ["LATE_ANSWER"]


async def test_a_resolved_case_cannot_change(world):
    await reconciling(world)
    (row,) = await world.list_cases()
    async with world.database.transaction() as tx:
        case = await world.cases(tx).lock(row["id"])
        done = {"status": CaseStatus.RESOLVED, "resolution": RETURN, "version": 2}
        done |= {"proposed_by": "a", "resolved_by": "b"}
        await world.cases(tx).save([replace(case, **done)])
    with pytest.raises((ValueError, psycopg.errors.RaiseException)):
        async with world.database.transaction() as tx:
            await world.cases(tx).save([replace(case, version=3)])


@pytest.mark.stack
async def test_the_database_refuses_confirmation_by_the_proposer(postgres_world):
    await reconciling(postgres_world)
    with pytest.raises(psycopg.errors.CheckViolation):
        await postgres_world.execute(
            "update reconciliation_case set status = 'RESOLVED', resolution = 'RETURN',"
            " proposed_by = 'a', resolved_by = 'a'"
        )


async def test_unresolved_cases_are_counted_by_kind(world):
    await reconciling(world)
    async with world.database.transaction() as tx:
        assert await world.cases(tx).counts() == {"OUTCOME_UNKNOWN": 1}
