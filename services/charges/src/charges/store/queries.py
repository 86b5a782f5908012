"""Queries for operators and checks."""

from datetime import UTC, date, datetime
from typing import Any, LiteralString

from charges.domain.tariffs import TARIFFS
from double_entry.check import LedgerCheck
from service_runtime.admin import MOST_FINDINGS, Findings
from service_runtime.postgres import PostgresTransaction, json_rows

EVERYTHING = datetime(2000, 1, 1, tzinfo=UTC)
FOR_EVER = date(9999, 1, 1)
_RULES: dict[str, LiteralString] = {
    "I1 a refund is open, and its charge reserves nothing for it": """
        select charge.id as payment_id from refund
        join charge on charge.id = refund.charge_id
        where charge.updated_at >= %(since)s and refund.status not in ('SUCCEEDED', 'FAILED')
          and charge.refunding_minor = 0 limit %(most)s""",
    "I2 a capture differs from its transfer": """
        select charge.id as payment_id from charge
        left join transfer on transfer.source_id = charge.id and transfer.kind = 'CAPTURE'
        where charge.updated_at >= %(since)s
          and charge.captured_minor <> coalesce(transfer.amount_minor, 0) limit %(most)s""",
    "I2 a charge's refunds differ from its rows": """
        select charge.id as payment_id from charge cross join lateral (
            select coalesce(sum(amount_minor) filter (where status = 'SUCCEEDED'), 0) as done,
                coalesce(sum(amount_minor) filter (
                    where status not in ('SUCCEEDED', 'FAILED')), 0) as open
            from refund where charge_id = charge.id) as sums
        where charge.updated_at >= %(since)s
          and (charge.refunded_minor, charge.refunding_minor) <> (sums.done, sums.open)
        limit %(most)s""",
    "I2 a charge's disputes differ from its rows": """
        select charge.id as payment_id from charge cross join lateral (
            select coalesce(sum(held_minor) filter (where status <> 'WON'), 0) as held
            from dispute where charge_id = charge.id) as sums
        where charge.updated_at >= %(since)s and charge.disputed_minor <> sums.held
        limit %(most)s""",
    "I2 a provider contradicts what was decided": """
        select id as payment_id from charge where contradicted_at >= %(since)s limit %(most)s""",
    # In the database's arithmetic: a second reading of the tariffs, independent of the first. The
    # day is the posting's; within a minute of midnight the service's clock may have another one.
    "I3 a charge's cost differs from its provider's tariff": """
        with tariff as (
            select * from json_to_recordset(%(tariffs)s::json) as one (provider text, since date,
                until date, share_ppm bigint, fixed_micro jsonb, most_micro bigint))
        select charge.id as payment_id from charge
        join transfer as capture on capture.source_id = charge.id and capture.kind = 'CAPTURE'
        left join transfer as fee on fee.source_id = charge.id and fee.kind = 'FEE'
        where charge.updated_at >= %(since)s and coalesce(fee.amount_minor, 0) not in (
            select least(charge.captured_minor, (least(most_micro, charge.captured_minor * share_ppm
                + coalesce((fixed_micro ->> charge.currency)::bigint, 0)) + 500000) / 1000000)
            from tariff where tariff.provider = charge.provider
              and tariff.since <= (capture.posted_at at time zone 'utc' + interval '1 min')::date
              and tariff.until > (capture.posted_at at time zone 'utc' - interval '1 min')::date)
        limit %(most)s""",
}


async def check(tx: PostgresTransaction, since: datetime | None) -> Findings:
    """Return violated invariants of charges and of their ledger, and what is due for long."""
    violations: list[dict[str, Any]] = []
    tariffs = json_rows(_tariffs())
    for name, statement in _RULES.items():
        invariant, _, details = name.partition(" ")
        given = {"since": since or EVERYTHING, "most": MOST_FINDINGS}
        if "%(tariffs)s" in statement:
            given["tariffs"] = tariffs
        rows = await tx.rows(statement, **given)
        violations += [{"invariant": invariant, "details": details, **row} for row in rows]
    ledger = await LedgerCheck(tx).violations(since or EVERYTHING)
    violations += [{"invariant": "I3", **row} for row in ledger]
    unfinished = await tx.rows(
        """select id as payment_id, status,
               extract(epoch from now() - created_at)::float8 as age_s
           from charge where due_at is not null and parked_at is null
             and due_at < now() - interval '1 minute'
           union all
           select charge_id, status, extract(epoch from now() - created_at)::float8
           from refund where due_at is not null and parked_at is null
             and due_at < now() - interval '1 minute'
           order by age_s desc limit %(most)s""",
        most=MOST_FINDINGS,
    )
    return Findings(violations, unfinished)


def _tariffs() -> list[dict[str, Any]]:
    """Return every tariff with the day on which the next one replaces it."""
    return [
        {
            "provider": name,
            "since": one.since,
            "until": after.since if after else FOR_EVER,
            "share_ppm": one.share_ppm,
            "fixed_micro": dict(one.fixed_micro),
            "most_micro": one.most_micro,
        }
        for name, tariffs in TARIFFS.items()
        for one, after in zip(tariffs, [*tariffs[1:], None], strict=True)
    ]
