"""The invariants of docs/reliability.md, checked after all work of a run has ended.

They use only the tables, the bank's ledger, the topics and the replies.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

import simulated_records as records
from simulated_facts import records_of
from simulated_watcher import ENDED, Violation, id_of, payments_of, tables_of

from confirm.domain.payment import FINAL, Status
from payment_schemas.events.confirmation import ConfirmRequested
from payment_schemas.ids import event_id_of
from payment_schemas.invariants import faults_of
from payment_schemas.invariants.rules import JOURNALS
from service_runtime.messages import Record
from testkit.memory import Tables

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
    known = {payment.id for payment in payments}
    keys = {(payment.user_id, payment.idempotency_key) for payment in payments}
    for request_id, asked in world.edge.log.items():
        order = asked.order
        is_known = order.payment_id in known or (order.user, order.key) in keys
        came = world.watcher.handled_at.get(event_id_of(request_id, ConfirmRequested.ce_type))
        is_dropped = came is not None and came >= asked.expires_at
        if asked.is_acknowledged and not is_known and not is_dropped:
            yield f"{order.transaction}: acknowledged, but unknown"
    for payment in payments:
        if payment.status not in FINAL:
            yield f"{payment.transaction_id}: still {payment.status}"
        elif payment.status is Status.CONFIRMED and payment.settlement_status not in ENDED:
            yield f"{payment.transaction_id}: settlement still {payment.settlement_status}"


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


def the_ledger_balances(world: "World") -> Iterator[str]:
    """I3 balances are the sums of journals; in flight is the money neither settled nor released."""
    own = tables_of(world, "confirm")
    expected = Counter(world.opened)
    kinds = defaultdict(set)
    for journal in own["journal"].values():
        expected[journal.debit_account] -= journal.amount_minor
        expected[journal.credit_account] += journal.amount_minor
        kinds[journal.payment_id].add(journal.kind)
    for name, account in own["account"].items():
        if account.balance_minor != expected[name]:
            yield f"{name}: {account.balance_minor}, but its journals sum to {expected[name]}"
    waiting = 0
    for payment in payments_of(world):
        wanted = set(JOURNALS[payment.settlement_status])
        if kinds.pop(payment.id, set()) != wanted:
            yield f"{payment.transaction_id}: journals are not {sorted(wanted)}"
        waiting += payment.amount_minor if wanted == {"HOLD"} else 0
    if kinds:
        yield f"journals of unknown payments: {sorted(map(str, kinds))}"
    if expected["in-flight:USD"] != waiting:
        yield f"in flight {expected['in-flight:USD']}, not {waiting}"


def every_record_is_accounted_for(world: "World") -> Iterator[str]:
    """I5 each record is in its consumer's inbox or among its dead letters."""
    for name, group in world.simulation.broker.groups.items():
        tables = world.simulation.storages[name].tables
        topics = sorted({topic for topic, _ in group.partitions})
        records = [one for topic in topics for one in world.simulation.broker.records(topic)]
        inbox = {event_id for consumer, event_id in tables.inbox if consumer == name}
        produced = {id_of(record) for record in records} - {None}
        if produced != inbox:
            yield f"{name}: {len(produced - inbox)} never handled, {len(inbox - produced)} unknown"
        if group.lag:
            yield f"{name}: lag {group.lag}"
        yield from _dead_letters(name, records, tables)


def _dead_letters(name: str, records: list[Record], tables: Tables) -> Iterator[str]:
    """Exactly the unreadable records are dead letters."""
    unreadable = {_place(record) for record in records if id_of(record) is None}
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
    the_ledger_balances,
    every_record_is_accounted_for,
    records.replays_are_identical,
    records.answers_are_true,
    nothing_is_parked,
    records.every_step_is_audited,
    records.codes_are_bounded,
    records.nothing_goes_unchecked,
    records.each_outcome_has_its_message,
    records.messages_are_in_order,
)
