"""Queries for operators and checks."""

from datetime import UTC, datetime
from typing import Any, LiteralString

from double_entry.check import LedgerCheck
from service_runtime.admin import MOST_FINDINGS, Findings
from service_runtime.postgres import PostgresTransaction

EVERYTHING = datetime(2000, 1, 1, tzinfo=UTC)
_RULES: dict[str, LiteralString] = {
    "a capture differs from its transfer": """
        select charge.id as payment_id from charge
        left join transfer on transfer.source_id = charge.id and transfer.kind = 'CAPTURE'
        where charge.updated_at >= %(since)s
          and charge.captured_minor <> coalesce(transfer.amount_minor, 0) limit %(most)s""",
    "a charge's refunds differ from its rows": """
        select charge.id as payment_id from charge cross join lateral (
            select coalesce(sum(amount_minor) filter (where status = 'SUCCEEDED'), 0) as done,
                coalesce(sum(amount_minor) filter (
                    where status not in ('SUCCEEDED', 'FAILED')), 0) as open
            from refund where charge_id = charge.id) as sums
        where charge.updated_at >= %(since)s
          and (charge.refunded_minor, charge.refunding_minor) <> (sums.done, sums.open)
        limit %(most)s""",
    "a provider contradicts what was decided": """
        select id as payment_id from charge where contradicted_at >= %(since)s limit %(most)s""",
}


async def check(tx: PostgresTransaction, since: datetime | None) -> Findings:
    """Return violated invariants of charges and of their ledger, and what is due for long."""
    violations: list[dict[str, Any]] = []
    for rule, statement in _RULES.items():
        rows = await tx.rows(statement, since=since or EVERYTHING, most=MOST_FINDINGS)
        violations += [{"details": rule, **row} for row in rows]
    violations += await LedgerCheck(tx).violations(since or EVERYTHING)
    unfinished = await tx.rows(
        """select id as payment_id, status,
               extract(epoch from now() - created_at)::float8 as age_s
           from charge where due_at is not null and parked_at is null
             and due_at < now() - interval '1 minute' order by due_at limit %(most)s""",
        most=MOST_FINDINGS,
    )
    return Findings(violations, unfinished)
