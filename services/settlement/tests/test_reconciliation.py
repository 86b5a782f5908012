"""Comparison of statements with instructions, and resolution of cases by people."""

import asyncio
from dataclasses import replace
from datetime import UTC, timedelta

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from settlement_builders import NOW, instruction, requested

from payment_schemas.money import Money
from service_runtime.errors import Conflict, Unavailable
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


def approval(resolution, actor="bob"):
    return Proposal(resolution, actor, "I have seen their statement", is_approval=True)


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
        (OPEN, [wanted(SETTLE)], "PROPOSED"),
        (OPEN, [approval(SETTLE)], "refused"),
        (OPEN, [wanted(SETTLE), approval(SETTLE, "alice")], "refused"),
        (OPEN, [wanted(SETTLE), approval(SETTLE, "ALICE")], "refused"),
        (OPEN, [wanted(SETTLE), approval(SETTLE)], "RESOLVED"),
        (OPEN, [wanted(SETTLE), wanted(SETTLE, "bob")], "PROPOSED"),
        (OPEN, [wanted(SETTLE), approval(RETURN)], "refused"),
        (OPEN, [wanted(SETTLE), wanted(RETURN, "bob"), approval(RETURN)], "refused"),
        (OPEN, [wanted(SETTLE), wanted(RETURN, "bob"), approval(SETTLE, "alice")], "refused"),
        (OPEN, [wanted(SETTLE), wanted(RETURN, "bob"), approval(RETURN, "alice")], "RESOLVED"),
        (OPEN, [wanted(EXPLAINED)], "refused"),
        (SETTLED, [wanted(SETTLE)], "refused"),
        (SETTLED, [wanted(RETURN)], "refused"),
        (None, [wanted(RETURN)], "refused"),
        (SETTLED, [wanted(EXPLAINED)], "RESOLVED"),
        (None, [wanted(EXPLAINED)], "RESOLVED"),
        (None, [wanted(EXPLAINED), wanted(EXPLAINED, "bob")], "refused"),
    ],
)
def test_a_resolution_depends_on_the_transfer_and_the_actors(transfer, steps, status):
    decided = CASE
    for step in steps:
        assert isinstance(decided, Case)
        decided = resolve(decided, step, transfer)
    assert (decided.status if isinstance(decided, Case) else "refused") == status


steps = st.lists(
    st.builds(
        Proposal,
        st.sampled_from(Resolution),
        st.sampled_from(["alice", "Alice", "bob", "carol"]),
        st.just("their clerk"),
        is_approval=st.booleans(),
    )
)


@given(steps, st.sampled_from([OPEN, SETTLED, None]))
def test_one_person_alone_never_moves_money(script, transfer):
    case = CASE
    for step in script:
        decided = resolve(case, step, transfer)
        if isinstance(decided, Refused):
            continue
        assert case.status is not CaseStatus.RESOLVED
        assert decided.version == case.version + 1
        case = decided
    if case.status is CaseStatus.RESOLVED and case.resolution is not EXPLAINED:
        assert case.proposed_by.lower() != case.resolved_by.lower()
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
    assert isinstance(await cases.resolve(case["id"], approval(resolution, "alice")), Refused)
    assert (await world.row_of(instruction()))["status"] == "RECONCILE"
    assert isinstance(await cases.resolve(case["id"], wanted(resolution, "settlement")), Refused)
    last = await cases.resolve(case["id"], approval(resolution))
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
        await cases.resolve(case["id"], approval(SETTLE))
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
    assert isinstance(await world.resolutions().resolve(case["id"], approval(RETURN)), Refused)
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
    due = Due(settled, Cause(settled.payment_id), epoch=0, attempts=1)
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
        proposed = {"resolution": RETURN, "proposed_by": "a"}
        done = {"status": CaseStatus.RESOLVED, "resolved_by": "b", "version": 3}
        for step in ({"status": CaseStatus.PROPOSED, "version": 2}, done):
            await world.cases(tx).save([replace(case, **proposed, **step)])
    with pytest.raises((ValueError, psycopg.errors.RaiseException)):
        async with world.database.transaction() as tx:
            await world.cases(tx).save([replace(case, version=4)])


@pytest.mark.stack
@pytest.mark.parametrize(
    "resolved",
    [
        pytest.param({"resolution": SETTLE}, id="another resolution"),
        pytest.param({"proposed_by": "c"}, id="another proposer"),
    ],
)
@pytest.mark.parametrize("status", [CaseStatus.OPEN, CaseStatus.PROPOSED])
async def test_the_database_resolves_a_case_only_as_it_was_proposed(
    postgres_world, status, resolved
):
    await reconciling(postgres_world)
    (row,) = await postgres_world.list_cases()
    proposed = {"resolution": RETURN, "proposed_by": "a"}
    async with postgres_world.database.transaction() as tx:
        case = await postgres_world.cases(tx).lock(row["id"])
        if status is CaseStatus.PROPOSED:
            case = replace(case, status=status, **proposed)
            await postgres_world.cases(tx).save([case])
    done = {"status": CaseStatus.RESOLVED, "resolved_by": "b", **proposed, **resolved}
    with pytest.raises(psycopg.errors.RaiseException, match="nobody has proposed"):
        async with postgres_world.database.transaction() as tx:
            await postgres_world.cases(tx).save([replace(case, **done)])


@pytest.mark.stack
@pytest.mark.parametrize(
    "statement",
    [
        "update reconciliation_case set payment_id = null returning 1",
        "update reconciliation_case set uetr = gen_random_uuid() returning 1",
        "insert into reconciliation_case select * from reconciliation_case returning 1",
    ],
)
async def test_the_services_role_changes_no_content_of_a_case(postgres_world, statement):
    await reconciling(postgres_world)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with postgres_world.database.transaction() as tx:
            await tx.rows(statement)


async def proposed_by_a(world):
    await reconciling(world)
    await world.execute(
        "update reconciliation_case set status = 'PROPOSED', resolution = 'RETURN',"
        " proposed_by = 'a'"
    )


@pytest.mark.stack
async def test_the_database_refuses_confirmation_by_the_proposer(postgres_world):
    await proposed_by_a(postgres_world)
    with pytest.raises(psycopg.errors.CheckViolation):
        await postgres_world.execute(
            "update reconciliation_case set status = 'RESOLVED', resolved_by = 'a'"
        )


@pytest.mark.stack
async def test_the_database_refuses_the_proposer_in_capitals(postgres_world):
    await proposed_by_a(postgres_world)
    with pytest.raises(psycopg.errors.CheckViolation, match="resolved_by_a_second_person"):
        await postgres_world.execute(
            "update reconciliation_case set status = 'RESOLVED', resolved_by = 'A'"
        )


@pytest.mark.stack
async def test_of_ten_approvals_of_a_case_at_once_one_has_an_effect(postgres_world):
    case = await reconciling(postgres_world)
    cases = postgres_world.resolutions()
    await cases.resolve(case["id"], wanted(SETTLE))
    people = [approval(SETTLE, f"p{number}") for number in range(10)]

    found = await asyncio.gather(*(cases.resolve(case["id"], person) for person in people))

    assert sum(isinstance(one, Case) for one in found) == 1
    assert sum(isinstance(one, Refused) for one in found) == 9
    published = [status for status, _ in postgres_world.published()]
    assert published == ["UNKNOWN", "RECONCILE", "SETTLED"]
    entries = [action for action, _ in postgres_world.audit_entries()]
    assert entries == ["CASE_OPENED", "CASE_PROPOSED", "CASE_RESOLVED"]


@pytest.mark.stack
async def test_a_proposal_of_a_case_ends_after_a_day_and_can_be_repeated(postgres_world):
    case = await reconciling(postgres_world)
    cases = postgres_world.resolutions()
    await cases.resolve(case["id"], wanted(SETTLE))
    await postgres_world.execute(
        "update reconciliation_case set updated_at = updated_at - interval '1 day'"
    )
    with pytest.raises(Conflict, match="older than a day: propose it again"):
        await cases.resolve(case["id"], approval(SETTLE))
    assert (await postgres_world.row_of(instruction()))["status"] == "RECONCILE"

    await cases.resolve(case["id"], wanted(SETTLE))
    await cases.resolve(case["id"], approval(SETTLE))
    assert (await postgres_world.row_of(instruction()))["status"] == "SETTLED"


async def test_unresolved_cases_are_counted_by_kind(world):
    await reconciling(world)
    async with world.database.transaction() as tx:
        assert await world.cases(tx).counts() == {"OUTCOME_UNKNOWN": 1}
