"""The invariants of docs/reliability.md, checked after all work of a run has ended.

They use only the tables, the bank's ledger, the topics and the replies.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import simulated_records as records
from simulated_facts import records_of
from simulated_watcher import ENDED, Violation, id_of, payments_of, tables_of

from confirm.domain.payment import FINAL, Status
from double_entry.rules import faults_of as faults_of_ledger
from payment_schemas.events.confirmation import ConfirmRequested
from payment_schemas.ids import event_id_of
from payment_schemas.invariants import faults_of
from payment_schemas.invariants.rules import TRANSFERS
from service_runtime.messages import Partition, Record
from testkit.memory import Tables
from testkit.simulation.processes import HANDLED

if TYPE_CHECKING:
    from simulated_world import World


def violations_of(world: "World") -> list[Violation]:
    """Yield every violated invariant of the run."""
    found = [*world.watcher.broken, *_loops(world)]
    for check in CHECKS:
        found += [Violation(check.__doc__.split()[0], details) for details in check(world)]
    for payment in payments_of(world):
        faults = faults_of(records_of(world, payment))
        found += [Violation(one.invariant, f"{payment.id}: {one.details}") for one in faults]
    return found


def _loops(world: "World") -> list[Violation]:
    return [Violation("I8", loop) for loop in world.simulation.ended_loops]


def nothing_is_lost(world: "World") -> Iterator[str]:
    """I1 every acknowledged command has a payment that has ended."""
    payments = payments_of(world)
    handled_at = _handled_at(world)
    known = {payment.id for payment in payments}
    keys = {(payment.user_id, payment.idempotency_key) for payment in payments}
    for request_id, asked in world.edge.log.items():
        order = asked.order
        is_known = order.payment_id in known or (order.user, order.key) in keys
        came = handled_at.get(event_id_of(request_id, ConfirmRequested.ce_type))
        is_dropped = came is not None and came >= asked.expires_at
        if asked.is_acknowledged and not is_known and not is_dropped:
            yield f"{order.transaction}: acknowledged, but unknown"
    for payment in payments:
        if payment.status not in FINAL:
            yield f"{payment.transaction_id}: still {payment.status}"
        elif payment.status is Status.CONFIRMED and payment.settlement_status not in ENDED:
            yield f"{payment.transaction_id}: settlement still {payment.settlement_status}"


def _handled_at(world: "World") -> dict[UUID | None, datetime]:
    """Return by command when confirm first handled it."""
    times = tables_of(world, "confirm")[HANDLED]
    found: dict[UUID | None, datetime] = {}
    for record in world.simulation.broker.records(ConfirmRequested.topic):
        time = times.get(_place(record))
        if time is not None:
            found[id_of(record)] = min(time, found.get(id_of(record), time))
    return found


def nothing_late_is_carried_out(world: "World") -> Iterator[str]:
    """I14 a command creates no payment after its deadline."""
    for name, (request_id, created_at) in world.watcher.made_by.items():
        if created_at >= world.edge.log[request_id].expires_at:
            yield f"payment {name}: created by a command after its deadline"


def nothing_is_doubled(world: "World") -> Iterator[str]:
    """I2 one transfer for a settled payment, none for any other."""
    moved = [one for book in world.outside.banks.values() for one in book.movements]
    by_order = Counter((one.debtor_account, one.transaction_id) for one in moved)
    for payment in payments_of(world):
        wanted = int(payment.settlement_status == "SETTLED")
        at_bank = by_order[payment.from_account, payment.transaction_id]
        if at_bank != wanted:
            yield f"{payment.transaction_id}: {at_bank} transfers, not {wanted}"
    for uetr in {one.uetr for one in moved} - {payment.uetr for payment in payments_of(world)}:
        yield f"transfer {uetr} belongs to no payment"


def a_bank_reads_one_message_a_transfer(world: "World") -> Iterator[str]:
    """I2 what a bank on Kafka reads is signed, and the same message each time."""
    yield from world.kafka_bank.problems


def the_ledger_balances(world: "World") -> Iterator[str]:
    """I3 balances are the sums of transfers; in flight is what is neither settled nor released."""
    own = tables_of(world, "confirm")
    yield from faults_of_ledger(own["account"].values(), own["transfer"].values())
    kinds = defaultdict(set)
    for source_id, kind in own["transfer"]:
        kinds[source_id].add(kind)
    waiting = 0
    for payment in payments_of(world):
        wanted = set(TRANSFERS[payment.settlement_status])
        if kinds.pop(payment.id, set()) != wanted:
            yield f"{payment.transaction_id}: transfers are not {sorted(wanted)}"
        waiting += payment.amount_minor if wanted == {"HOLD"} else 0
    if unknown := [str(name) for name, found in kinds.items() if found != {"OPEN"}]:
        yield f"transfers of unknown payments: {sorted(unknown)}"
    account = own["account"].get("in-flight:USD")
    if account and account.balance_minor != waiting:
        yield f"in flight {account.balance_minor}, not {waiting}"


def every_record_is_accounted_for(world: "World") -> Iterator[str]:
    """I5 every offset below the next one was handled or is a dead letter; none is left."""
    broker = world.simulation.broker
    for name, group in broker.groups.items():
        tables = world.simulation.storages[name].tables
        records = [one for place in group.partitions for one in broker.partitions[place]]
        for record in records:
            if not _is_accounted_for(record, name, tables):
                yield f"{name}: {_place(record)} was not handled"
        for place in group.partitions:
            yield from _offsets(name, place, len(broker.partitions[place]), tables)
        if group.lag:
            yield f"{name}: lag {group.lag}"
        yield from _dead_letters(name, records, tables, world.kafka_bank.forged)


def _is_accounted_for(record: Record, name: str, tables: Tables) -> bool:
    place = _place(record)
    is_repeated = (name, record.topic, id_of(record)) in tables.inbox
    return place in tables.own[HANDLED] or place in tables.dead_letters or is_repeated


def _offsets(name: str, place: Partition, end: int, tables: Tables) -> Iterator[str]:
    """The offsets themselves, counted as `countersign check` counts them."""
    row = tables.consumed[name, place]
    letters = sum(
        one[:2] == place and row.first <= one[2] < row.next for one in tables.dead_letters
    )
    if row.next != end:
        yield f"{name}: {place} is handled up to {row.next} of {end}"
    if row.handled + letters < row.next - row.first:
        yield f"{name}: {place} has raised its offset over records that were not handled"


def _dead_letters(
    name: str, records: list[Record], tables: Tables, forged: set[UUID]
) -> Iterator[str]:
    """Exactly the unreadable and the forged records are dead letters."""
    refused = {None, *forged}
    unreadable = {_place(record) for record in records if id_of(record) in refused}
    for place in unreadable - tables.dead_letters.keys():
        yield f"{name}: {place} is no dead letter"
    for place in tables.dead_letters.keys() - unreadable:
        letter = tables.dead_letters[place]
        yield f"{name}: {place} is a dead letter: {letter.reason} {letter.error_class}"


def _place(record: Record) -> tuple[str, int, int]:
    return record.topic, record.partition, record.offset


def nothing_is_parked(world: "World") -> Iterator[str]:
    """I8 no row is parked."""
    for service, storage in world.simulation.storages.items():
        for table, leases in storage.tables.own.items():
            if table.endswith("/lease"):
                for name, lease in leases.items():
                    if lease.parked is not None:
                        yield f"{service} {table} {name}: {lease.parked}"


CHECKS = (
    nothing_is_lost,
    nothing_late_is_carried_out,
    nothing_is_doubled,
    a_bank_reads_one_message_a_transfer,
    the_ledger_balances,
    every_record_is_accounted_for,
    records.replays_are_identical,
    records.the_owner_is_shown_the_state,
    records.answers_are_true,
    nothing_is_parked,
    records.every_step_is_audited,
    records.no_sealed_code_is_logged,
    records.codes_are_bounded,
    records.nothing_goes_unchecked,
    records.each_outcome_has_its_message,
    records.messages_are_in_order,
)
