"""Statements beside instructions, and what people make of what does not fit."""

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
from settlement.store import New

TODAY = NOW.date()
PAID = Money(520_000, "USD")
DAY = timedelta(days=1)
ONCE = Policy(is_idempotent=False, in_flight_s=60)
SETTLED = instruction(status=Status.SETTLED)
SETTLE, RETURN, EXPLAINED = Resolution.SETTLE, Resolution.RETURN, Resolution.EXPLAINED


def entry(number=1, money=PAID, booked_s=0, **fields):
    """A line as banks write it: their reference is the transfer's, the time is the movement's."""
    booked_at = NOW + timedelta(seconds=booked_s)
    named = {"bank_reference": f"B-{number}", "booked_at": booked_at, **fields}
    return StatementEntry(instruction(number).uetr, money, **named)


def wanted(resolution, actor="alice"):
    return Proposal(resolution, actor, "their clerk has looked")


@pytest.mark.parametrize(
    ("ours", "money", "finding"),
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
def test_an_entry_comes_to_one_finding(ours, money, finding):
    booked = Reading("first-bank", TODAY).bookings([entry(money=money)])
    found = breaks_of("first-bank", booked, ours)
    assert [kind for kind, _ in found] == ([finding] if finding in BREAKS else [])
    assert found or finding_of(ours) is finding


def test_the_same_break_is_the_same_case_and_one_with_other_facts_is_another():
    one = case_of(SETTLED, Finding.MISSING_HERE, TODAY, "booked there 2 times")
    later = case_of(SETTLED, Finding.MISSING_HERE, TODAY + DAY, "booked there 2 times")
    assert one.id == later.id
    thrice = case_of(SETTLED, Finding.MISSING_HERE, TODAY, "booked there 3 times")
    kind = case_of(SETTLED, Finding.AMOUNT_DIFFERS, TODAY, "booked there 2 times")
    there = replace(SETTLED, partner="north-bank")
    partner = case_of(there, Finding.MISSING_HERE, TODAY, "booked there 2 times")
    assert len({one.id, thrice.id, kind.id, partner.id}) == 4


CASE = case_of(instruction(), Finding.OUTCOME_UNKNOWN, TODAY, "x")
WAITS = instruction(status=Status.RECONCILE)


@pytest.mark.parametrize(
    ("ours", "steps", "status"),
    [
        (WAITS, [(SETTLE, "alice")], "PROPOSED"),
        (WAITS, [(SETTLE, "alice"), (SETTLE, "alice")], "refused"),
        (WAITS, [(SETTLE, "alice"), (SETTLE, "bob")], "RESOLVED"),
        (WAITS, [(SETTLE, "alice"), (RETURN, "bob")], "PROPOSED"),
        (WAITS, [(SETTLE, "alice"), (RETURN, "bob"), (RETURN, "bob")], "refused"),
        (WAITS, [(SETTLE, "alice"), (RETURN, "bob"), (RETURN, "alice")], "RESOLVED"),
        (WAITS, [(EXPLAINED, "alice")], "refused"),
        (SETTLED, [(SETTLE, "alice")], "refused"),
        (SETTLED, [(RETURN, "alice")], "refused"),
        (None, [(RETURN, "alice")], "refused"),
        (SETTLED, [(EXPLAINED, "alice")], "RESOLVED"),
        (None, [(EXPLAINED, "alice")], "RESOLVED"),
        (None, [(EXPLAINED, "alice"), (EXPLAINED, "bob")], "refused"),
    ],
)
def test_who_may_make_what_of_a_case(ours, steps, status):
    decided = CASE
    for resolution, actor in steps:
        assert isinstance(decided, Case)
        decided = resolve(decided, wanted(resolution, actor), ours)
    assert (decided.status if isinstance(decided, Case) else "refused") == status


steps = st.lists(st.tuples(st.sampled_from(Resolution), st.sampled_from(["alice", "bob", "carol"])))


@given(steps, st.sampled_from([WAITS, SETTLED, None]))
def test_money_never_moves_by_one_person(script, ours):
    case = CASE
    for resolution, actor in script:
        decided = resolve(case, wanted(resolution, actor), ours)
        if isinstance(decided, Refused):
            continue
        assert case.status is not CaseStatus.RESOLVED
        assert decided.version == case.version + 1
        case = decided
    if case.status is CaseStatus.RESOLVED and case.resolution is not EXPLAINED:
        assert case.proposed_by != case.resolved_by
        assert ours is WAITS


async def settle(world, *numbers):
    """Settle transfers, and let the clock be just behind."""
    await world.request(*[requested(number) for number in numbers])
    await world.send()
    row = await world.found(instruction(numbers[0]))
    world.clock.time = row["updated_at"].astimezone(UTC) + timedelta(seconds=5)
    return world.clock.now().date()


async def test_a_statement_that_fits_opens_nothing(world):
    day = await settle(world, 1, 2, 3)
    world.bank.statements[day] = [entry(number) for number in (1, 2, 3)]
    world.bank.statement_rows = 2
    report = (await world.reconciliation().reconcile("first-bank", day)).as_dict()
    assert (report["matched"], report["breaks"], report["cases_opened"]) == (3, [], 0)
    assert await world.listed() == []


async def test_every_lie_of_a_bank_is_found_once_and_repaired_by_nobody(world):
    day = await settle(world, 1, 2, 3)
    other = StatementEntry(instruction(77).uetr, PAID)
    world.bank.statements[day] = [entry(1), entry(2, Money(520_001, "USD")), other]
    for opened in (3, 0):
        report = (await world.reconciliation().reconcile("first-bank", day)).as_dict()
        counts = {name: report[name] for name in ("matched", "amount_differs", "missing_here")}
        assert counts == {"matched": 1, "amount_differs": 1, "missing_here": 1}
        assert (report["missing_there"], report["cases_opened"]) == (1, opened)
    cases = {row["kind"]: row["uetr"] for row in await world.listed()}
    assert cases == {
        "AMOUNT_DIFFERS": instruction(2).uetr,
        "MISSING_HERE": instruction(77).uetr,
        "MISSING_THERE": instruction(3).uetr,
    }
    assert world.audited() == [("CASE_OPENED", "settlement")] * 3
    assert {(await world.found(instruction(n)))["status"] for n in (1, 2, 3)} == {"SETTLED"}


async def test_a_success_after_a_return_is_a_case_and_flips_nothing(world):
    await world.request(requested(payee="payee-rejected"))
    await world.send()
    world.bank.statements[TODAY] = [entry()]
    report = await world.reconciliation().reconcile("first-bank", TODAY)
    assert [(one.kind, one.payment_id) for one in report.breaks] == [
        (Finding.MISSING_HERE, instruction().payment_id)
    ]
    assert (await world.found(instruction()))["status"] == "REJECTED"


async def test_what_was_booked_before_midnight_and_settled_after_it_is_not_missing(world):
    day = await settle(world, 1, 2)
    world.bank.statements = {day - timedelta(days=1): [entry(1)], day: [entry(2)]}
    report = (await world.reconciliation().reconcile("first-bank", day)).as_dict()
    assert (report["matched"], report["breaks"]) == (1, [])


async def test_what_was_settled_after_the_statement_was_read_is_not_missing(world):
    day = await settle(world, 1)
    world.clock.pass_time(seconds=-60)
    report = await world.reconciliation().reconcile("first-bank", day)
    assert report.breaks == []


async def test_a_transfer_on_another_banks_statement_is_missing_here_and_there(world):
    day = await settle(world, 1)
    world.north.statements[day] = [entry(1)]
    found = [
        [one.kind for one in (await world.reconciliation().reconcile(partner, day)).breaks]
        for partner in ("north-bank", "first-bank")
    ]
    assert found == [[Finding.MISSING_HERE], [Finding.MISSING_THERE]]


async def test_a_transfer_that_stands_twice_on_a_page_is_a_break(world):
    day = await settle(world, 1)
    world.bank.statements[day] = [entry(1), entry(1)]
    report = await world.reconciliation().reconcile("first-bank", day)
    assert [one.details for one in report.breaks] == ["booked there 2 times"]


async def test_a_bank_that_is_down_stops_no_other_and_is_read_later(world):
    day = await settle(world, 1)
    world.bank.is_down, world.north.statements[day] = True, [entry(77)]
    with pytest.raises(Unavailable):
        await world.reconciliation().reconcile("first-bank", day)
    await world.reconciliation().run()
    assert [row["partner"] for row in await world.listed()] == ["north-bank"]


async def reconciling(world):
    """Bring a transfer to RECONCILE; return its case's row."""
    world.policy, world.bank.loses_requests = ONCE, True
    await world.request(requested())
    await world.send()
    world.bank.loses_requests = False
    world.clock.pass_time(seconds=61)
    await world.later()
    await world.enquire()
    (row,) = await world.listed()
    return row


@pytest.mark.parametrize(("resolution", "status"), [(SETTLE, "SETTLED"), (RETURN, "REJECTED")])
async def test_two_people_end_what_no_bank_answers(world, resolution, status):
    case = await reconciling(world)
    assert (case["kind"], case["status"]) == ("OUTCOME_UNKNOWN", "OPEN")
    desk = world.resolutions()
    first = await desk.resolve(case["id"], wanted(resolution))
    assert first.status is CaseStatus.PROPOSED
    assert isinstance(await desk.resolve(case["id"], wanted(resolution)), Refused)
    assert (await world.found(instruction()))["status"] == "RECONCILE"
    assert isinstance(await desk.resolve(case["id"], wanted(resolution, "settlement")), Refused)
    last = await desk.resolve(case["id"], wanted(resolution, "bob"))
    assert (last.status, last.resolved_by) == (CaseStatus.RESOLVED, "bob")
    assert (await world.found(instruction()))["status"] == status
    assert [one for one, _ in world.told()] == ["UNKNOWN", "RECONCILE", status]
    assert len(set(world.event_ids())) == 3
    assert world.audited() == [
        ("CASE_OPENED", "settlement"),
        ("CASE_PROPOSED", "alice"),
        ("CASE_RESOLVED", "bob"),
    ]
    assert await world.listed() == []
    assert len(await world.listed(status=CaseStatus.RESOLVED)) == 1


async def test_an_answer_on_its_way_loses_against_what_people_have_decided(world):
    case = await reconciling(world)
    desk = world.resolutions()
    await desk.resolve(case["id"], wanted(SETTLE))

    async def be_overtaken(batch):
        await desk.resolve(case["id"], wanted(SETTLE, "bob"))
        return {item.cause.id: BankResponse(Kind.REJECTED, "too_late") for item in batch}

    world.clock.pass_time(seconds=61)
    await world.later()
    await world.enquire(gather=be_overtaken)
    assert [one for one, _ in world.told()] == ["UNKNOWN", "RECONCILE", "SETTLED"]
    assert (await world.found(instruction()))["status"] == "SETTLED"


async def test_what_the_bank_has_answered_meanwhile_closes_its_case_and_is_not_moved_again(world):
    case = await reconciling(world)
    await world.resolutions().resolve(case["id"], wanted(RETURN))
    world.bank.booked[instruction().uetr] = 1
    world.clock.pass_time(seconds=61)
    await world.later()
    await world.enquire()
    assert isinstance(await world.resolutions().resolve(case["id"], wanted(RETURN, "bob")), Refused)
    (closed,) = await world.listed(status=CaseStatus.RESOLVED)
    assert (closed["resolution"], closed["proposed_by"], closed["resolved_by"]) == (
        "EXPLAINED",
        "alice",
        "settlement",
    )
    assert closed["note"] == "its bank has answered: SETTLED"
    assert (await world.found(instruction()))["status"] == "SETTLED"
    assert world.audited()[-1] == ("CASE_RESOLVED", "settlement")


async def test_nobody_resolves_a_case_that_is_not_there(world):
    assert await world.resolutions().resolve(instruction().uetr, wanted(EXPLAINED)) is None


async def test_a_late_answer_opens_a_case_once(world):
    settled = instruction(status=Status.SETTLED)
    due = Due(settled, Cause(settled.payment_id), epoch=1, attempts=1)
    batch = Batch([due], NOW, {settled.payment_id: BankResponse(Kind.REJECTED)})
    told = []
    for _ in range(2):
        async with world.database.transaction() as tx:
            await world.store(tx).add([New(settled)])
            told += await on_due_instructions(batch, world.store(tx), Policy())
    assert [emit.event.action for emit in told] == ["CASE_OPENED"]
    assert [row["kind"] for row in await world.listed()] == ["LATE_ANSWER"]


async def test_what_is_resolved_is_for_ever(world):
    await reconciling(world)
    (row,) = await world.listed()
    async with world.database.transaction() as tx:
        case = await world.cases(tx).lock(row["id"])
        done = {"status": CaseStatus.RESOLVED, "resolution": RETURN, "version": 2}
        done |= {"proposed_by": "a", "resolved_by": "b"}
        await world.cases(tx).save([replace(case, **done)])
    with pytest.raises((ValueError, psycopg.errors.RaiseException)):
        async with world.database.transaction() as tx:
            await world.cases(tx).save([replace(case, version=3)])


@pytest.mark.stack
async def test_the_database_lets_nobody_confirm_his_own_proposal(postgres_world):
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
