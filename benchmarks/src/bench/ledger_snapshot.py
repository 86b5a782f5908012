"""The stored data of a run: payments, their journals, messages to customers."""

from collections.abc import Mapping
from dataclasses import dataclass

from bench.system import System

_PAYMENTS = """
select payment.transaction_id, payment.status, payment.settlement_status,
       payment.settlement_version,
       count(*) filter (where journal.kind = 'HOLD') as holds,
       count(*) filter (where journal.kind = 'SETTLE') as settles,
       extract(epoch from max(journal.posted_at) filter (where journal.kind = 'SETTLE')
               - max(journal.posted_at) filter (where journal.kind = 'HOLD'))::float8 as settled_s
from confirm.payment left join confirm.journal on journal.payment_id = payment.id
where payment.transaction_id >= %(run)s || '-' and payment.transaction_id < %(run)s || '.'
group by payment.id"""

_UNFINISHED = """
select (select count(*) from confirm.payment
        where due_at is not null
           or settlement_status in ('PENDING', 'SENT', 'UNKNOWN', 'RECONCILE')) as payments,
       (select count(*) from settlement.instruction where due_at is not null) as instructions"""

_LEDGER = """
select coalesce(sum(balance_minor), 0)::bigint as total,
       coalesce(sum(balance_minor) filter (where id like 'in-flight:%'), 0)::bigint as in_flight
from confirm.account"""

_MESSAGES = """
select status, count(*) as count from notification.delivery group by status"""

_UNSENT = "select count(*) as count from notification.delivery where due_at is not null"


@dataclass(frozen=True, slots=True)
class StoredPayment:
    """A stored payment with its journals."""

    status: str
    settlement_status: str
    settlement_version: int
    holds: int
    settles: int
    settled_s: float | None
    """Seconds from the HOLD journal to the SETTLE journal."""


def payments_of(system: System, run: str) -> dict[str, StoredPayment]:
    """Return the payments of a run by transaction."""
    with system.database() as cursor:
        cursor.execute(_PAYMENTS, {"run": run})
        return {str(row.pop("transaction_id")): StoredPayment(**row) for row in cursor}  # type: ignore[arg-type]


def unfinished(system: System) -> int:
    """Count the unfinished payments and instructions."""
    row = _row(system, _UNFINISHED)
    return row["payments"] + row["instructions"]


def ledger(system: System) -> tuple[int, int]:
    """Return, in minor units, the sum of all balances and the in-flight money."""
    row = _row(system, _LEDGER)
    return row["total"], row["in_flight"]


def unsent(system: System) -> int:
    """Count the unsent messages."""
    return _row(system, _UNSENT)["count"]


def messages(system: System) -> dict[str, int]:
    """Count messages to customers by status."""
    with system.database() as cursor:
        cursor.execute(_MESSAGES)
        return {str(row["status"]): int(str(row["count"])) for row in cursor}


def _row(system: System, statement: str) -> Mapping[str, int]:
    with system.database() as cursor:
        cursor.execute(statement.encode())
        (row,) = cursor.fetchall()
        return {name: int(str(value)) for name, value in row.items()}
