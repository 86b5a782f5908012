"""Failures are isolated, retried, given up or waited for; no effect is partial."""

from uuid import UUID

import psycopg
import pytest

from service_runtime import consumer, unit_of_work
from service_runtime.errors import (
    Conflict,
    Consequence,
    Invariant,
    Rejected,
    ServiceError,
    Unavailable,
    conflict_of,
    consequence_of,
)
from service_runtime.unit_of_work import RACES, TRIES
from testkit.probe import Echoed, Tallied


async def test_a_batch_is_handled_in_order_and_its_events_are_published(rig):
    await rig.publish(1, 2, 3)

    await rig.consume()

    assert rig.tallied == [1, 2, 3]
    assert rig.count.batches == [[1, 2, 3]]
    assert len(rig.broker.topics[Tallied.topic]) == 3
    assert rig.database.tables.outbox == {}


async def test_a_rejected_record_is_a_dead_letter_at_once_and_the_others_go_on_in_order(rig):
    rig.count.always[5] = Rejected("never")
    await rig.publish(*range(10))

    await rig.consume()

    assert rig.tallied == [0, 1, 2, 3, 4, 6, 7, 8, 9]
    assert sum(batch == [5] for batch in rig.count.batches) == 1
    (letter,) = rig.letters
    assert dict(letter.headers)["dl_attempts"] == b"1"
    assert dict(letter.headers)["dl_reason"] == b"rejected"


async def test_a_failing_record_is_isolated_by_bisection(rig):
    rig.count.always[77] = Rejected("never")
    await rig.publish(*range(500))

    await rig.consume()

    assert len(rig.tallied) == 499
    assert rig.tallied == sorted(rig.tallied)
    assert len(rig.count.batches) < 25


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Invariant("we are wrong"), b"invariant"),
        (KeyError("unknown"), b"failed"),
        (psycopg.DataError("bad data"), b"failed"),
        (psycopg.errors.CheckViolation("check"), b"failed"),
        (psycopg.errors.RaiseException("trigger"), b"failed"),
    ],
)
async def test_a_defect_is_tried_three_times_and_then_a_dead_letter(rig, fault, reason):
    rig.count.always[2] = fault
    await rig.publish(1, 2, 3)

    await rig.consume()

    assert rig.tallied == [1, 3]
    assert sum(batch == [2] for batch in rig.count.batches) == TRIES
    headers = dict(rig.letters[0].headers)
    assert (headers["dl_reason"], headers["dl_attempts"]) == (reason, b"3")
    assert headers["dl_error_class"] == type(fault).__qualname__.encode()


async def test_a_fault_that_passes_leaves_no_dead_letter(rig):
    rig.count.faults[1] = [Invariant("once"), Invariant("twice")]
    await rig.publish(1)

    await rig.consume()

    assert (rig.tallied, rig.letters) == ([1], [])


async def test_a_failure_that_turns_into_an_outage_is_retried(rig):
    rig.count.faults[1] = [Invariant("once"), Unavailable("then down"), Invariant("and again")]
    await rig.publish(1)

    await rig.consume()

    assert (rig.tallied, rig.letters) == ([1], [])
    assert len(rig.source.idled) == 1


@pytest.mark.parametrize(
    "fault",
    [
        Unavailable("down"),
        psycopg.OperationalError("connection lost"),
        psycopg.errors.DeadlockDetected("deadlock"),
        psycopg.errors.SerializationFailure("serialization"),
        psycopg.errors.LockNotAvailable("lock time-out"),
        psycopg.errors.UndefinedTable("inbox is missing"),
        psycopg.errors.DiskFull("disk"),
        psycopg.errors.ReadOnlySqlTransaction("standby"),
        psycopg.errors.AdminShutdown("shutdown"),
        ConnectionResetError("reset"),
        TimeoutError("late"),
    ],
)
async def test_an_outage_commits_nothing_counts_nothing_and_repeats_the_same_records(rig, fault):
    rig.count.faults[2] = [fault] * 2
    await rig.publish(1, 2, 3)

    await rig.consume()

    assert rig.count.batches == [[1, 2, 3]] * 3
    assert (rig.tallied, rig.letters) == ([1, 2, 3], [])
    assert rig.source.idled == sorted(rig.source.idled)
    assert len(rig.source.idled) == 2


@pytest.mark.parametrize(
    "fault",
    [
        psycopg.errors.QueryCanceled("statement time-out"),
        psycopg.errors.IdleInTransactionSessionTimeout("idle"),
    ],
)
async def test_a_batch_that_takes_too_long_is_bisected_and_one_record_is_retried(rig, fault):
    rig.count.too_many = 2, fault
    rig.count.faults[3] = [fault] * 4
    await rig.publish(*range(8))

    await rig.consume()

    assert rig.count.batches[:3] == [[*range(8)], [0, 1, 2, 3], [0, 1]]
    assert (sorted(rig.tallied), rig.letters) == ([*range(8)], [])
    assert len(rig.source.idled) == 1


async def test_a_record_that_always_takes_too_long_alone_becomes_a_dead_letter(rig, monkeypatch):
    monkeypatch.setattr(unit_of_work, "TOO_SLOW_TRIES", 3)
    rig.count.always[1] = psycopg.errors.QueryCanceled("statement time-out")
    await rig.publish(0, 1, 2)

    await rig.consume()

    assert (sorted(rig.tallied), len(rig.letters)) == ([0, 2], 1)
    assert len(rig.source.idled) == 2
    assert not rig.unit._too_slow


async def test_no_record_becomes_a_dead_letter_while_the_database_takes_none(rig, monkeypatch):
    monkeypatch.setattr(unit_of_work, "TOO_SLOW_TRIES", 2)
    rig.count.always[1] = psycopg.errors.QueryCanceled("statement time-out")
    await rig.publish(1)
    await rig.source.place()
    rig.database.faults = [None, None, psycopg.OperationalError("down")]

    await rig.consume()

    assert (rig.tallied, len(rig.letters)) == ([], 1)
    assert len(rig.source.idled) == 3


async def test_a_wholly_failing_poll_does_not_lose_the_membership(rig, monkeypatch):
    monkeypatch.setattr(consumer, "MEMBERSHIP_EVERY_S", 0)
    monkeypatch.setattr(unit_of_work, "BETWEEN_TRIES_S", 0)
    rig.count.always = {number: Invariant("all of them") for number in range(8)}
    await rig.publish(*range(8))

    await rig.consume()

    assert len(rig.letters) == 8
    assert len(rig.source.idled) >= 8


async def test_items_committed_before_an_outage_are_not_repeated(rig):
    rig.count.always[3] = Invariant("alone")
    rig.count.faults[2] = [Invariant("halve"), Unavailable("down")]
    await rig.publish(0, 1, 2, 3)

    await rig.consume()

    assert sorted(rig.tallied) == [0, 1, 2]
    assert len(rig.broker.topics[Tallied.topic]) == 3
    assert len(rig.letters) == 1


async def test_the_loser_of_a_race_retries_with_the_winners_row(rig):
    rig.count.faults[1] = [psycopg.errors.UniqueViolation("race")] * (RACES - 1)
    await rig.publish(1, 2)

    await rig.consume()

    assert rig.count.batches == [[1, 2]] * RACES
    assert (rig.tallied, rig.letters, rig.source.idled) == ([1, 2], [], [])


async def test_a_unique_violation_that_never_ends_is_a_defect(rig):
    rig.count.always[1] = psycopg.errors.UniqueViolation("always")
    await rig.publish(1, 2)

    await rig.consume()

    assert (rig.tallied, len(rig.letters)) == ([2], 1)


async def test_an_event_that_cannot_be_serialized_rolls_back_its_effect(rig):
    rig.count.tells = lambda **_fields: object()
    await rig.publish(1)

    await rig.consume()

    assert (rig.tallied, len(rig.letters)) == ([], 1)


async def test_a_reply_is_sent_after_the_commit_and_never_through_the_outbox(rig):
    rig.count.tells = Echoed
    await rig.publish(1)

    await rig.consume()

    assert len(rig.broker.topics[Echoed.topic]) == 1
    assert rig.database.tables.next_outbox_id == 1


async def test_no_reply_is_sent_without_a_commit(rig):
    rig.count.tells = Echoed
    rig.count.always[1] = Rejected("never")
    await rig.publish(1)

    await rig.consume()

    assert rig.broker.topics[Echoed.topic] == []


async def test_a_dead_letter_waits_for_a_database_that_is_down(rig, record):
    await rig.broker.send(record(1, ce_id=b"nonsense"))
    await rig.source.place()
    rig.database.faults = [psycopg.OperationalError("down")] * 2

    await rig.consume()

    assert (len(rig.letters), len(rig.source.idled)) == (1, 2)


async def test_giving_up_an_item_waits_for_a_database_that_is_down(rig):
    rig.count.always[1] = Rejected("never")
    await rig.publish(1)
    await rig.source.place()
    rig.database.faults = [None, psycopg.OperationalError("down"), None, None]

    await rig.consume()

    assert (len(rig.letters), len(rig.source.idled)) == (1, 1)


async def kept(rig, *faults):
    """Commit a write that fails with these faults, one each; return the number of attempts."""
    left, tries = list(faults), []

    async def write(_tx):
        tries.append(1)
        if left:
            raise left.pop(0)
        return ()

    await rig.unit.run_in_transaction(write)
    return len(tries)


@pytest.mark.parametrize(
    ("fault", "raised"),
    [
        (psycopg.errors.CheckViolation("check"), Conflict),
        (psycopg.errors.ForeignKeyViolation("foreign"), Conflict),
        (psycopg.errors.RaiseException("trigger"), Conflict),
        (psycopg.OperationalError("down"), Unavailable),
        (KeyError("ours"), KeyError),
        (Rejected("never"), Rejected),
    ],
)
async def test_only_an_outage_is_unavailable(rig, fault, raised):
    with pytest.raises(raised) as told:
        await kept(rig, fault)
    assert type(told.value) is raised


async def test_a_write_that_loses_a_race_is_retried_and_then_a_conflict(rig):
    race = psycopg.errors.UniqueViolation("race")

    assert await kept(rig, race, race) == 3
    with pytest.raises(Conflict):
        await kept(rig, *[race] * RACES)


@pytest.mark.stack
async def test_a_conflict_names_the_constraint_and_no_value(postgres, rows):
    rows("alter table tally add constraint small check (number < 100)")
    try:
        with pytest.raises(psycopg.errors.CheckViolation) as refused:
            async with postgres.transaction() as tx:
                await tx.run(
                    "insert into tally (event_id, lane, number) values (%(id)s, 'x', 4711)",
                    id=UUID(int=1),
                )
    finally:
        rows("alter table tally drop constraint small")
    conflict = conflict_of(refused.value)

    assert (str(conflict), conflict.constraint) == ("tally.small: breaks a rule", "small")


@pytest.mark.parametrize(
    ("error", "consequence"),
    [
        (Rejected(), Consequence.DEAD_LETTER),
        (Unavailable(), Consequence.WAIT),
        (Invariant(), Consequence.TRY_AGAIN),
        (ServiceError(), Consequence.TRY_AGAIN),
        (ZeroDivisionError(), Consequence.TRY_AGAIN),
        (psycopg.errors.UniqueViolation(), Consequence.RACE),
        (psycopg.errors.ForeignKeyViolation(), Consequence.TRY_AGAIN),
        (psycopg.errors.NumericValueOutOfRange(), Consequence.TRY_AGAIN),
        (psycopg.InterfaceError(), Consequence.WAIT),
    ],
)
def test_each_error_has_its_consequence(error, consequence):
    assert consequence_of(error) is consequence
