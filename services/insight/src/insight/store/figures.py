"""The prepared queries of chat, by a role that only reads, under row security, within limits."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, LiteralString

from insight.domain.questions import Parameters
from payment_schemas.money import Money
from service_runtime.ports import Database
from service_runtime.postgres import PLANNED, PostgresTransaction

READER = "insight_reader"
WITHIN = "1s"
MOST_ROWS = 20
SQL: Mapping[str, LiteralString] = {
    "payment": """
        select transaction_id, status, settlement_status, amount_minor, currency,
            coalesce(reason, 'none') as reason, created_at
        from known_payment
        where (transaction_id = %(transaction)s or payment_id::text = lower(%(transaction)s))
          and (%(user)s::text is null or user_id = %(user)s)
        order by created_at desc limit %(most)s""",
    "risk": """
        select transaction_id, score, level,
            coalesce(summary, 'It is not explained yet.') as summary
        from explanation
        where (transaction_id = %(transaction)s or id::text = lower(%(transaction)s))
          and (%(user)s::text is null or user_id = %(user)s)
        order by created_at desc limit %(most)s""",
    "counts": """
        select status, count(*)
        from known_payment
        where in_period(created_at, %(from_days)s, %(to_days)s)
          and (%(user)s::text is null or user_id = %(user)s)
          and (%(status)s::text is null or status = %(status)s)
        group by status order by 2 desc, 1 limit %(most)s""",
    "settlement": """
        select settlement_status, count(*)
        from known_payment
        where in_period(created_at, %(from_days)s, %(to_days)s)
          and (%(user)s::text is null or user_id = %(user)s)
        group by settlement_status order by 2 desc, 1 limit %(most)s""",
    "totals": """
        select currency, count(*), sum(amount_minor)::bigint as amount_minor
        from known_payment
        where status = 'SUCCESS'
          and in_period(created_at, %(from_days)s, %(to_days)s)
          and (%(user)s::text is null or user_id = %(user)s)
        group by currency order by 2 desc, 1 limit %(most)s""",
    "average": """
        select currency, count(*), round(avg(amount_minor))::bigint as amount_minor
        from known_payment
        where status = 'SUCCESS'
          and in_period(created_at, %(from_days)s, %(to_days)s)
          and (%(user)s::text is null or user_id = %(user)s)
        group by currency order by 2 desc, 1 limit %(most)s""",
    "largest": """
        select distinct on (currency) transaction_id, status, currency, amount_minor
        from known_payment
        where in_period(created_at, %(from_days)s, %(to_days)s)
          and (%(user)s::text is null or user_id = %(user)s)
          and (%(status)s::text is null or status = %(status)s)
        order by currency, amount_minor desc, created_at limit %(most)s""",
    "latest": """
        select transaction_id, status, settlement_status, amount_minor, currency,
            coalesce(reason, 'none') as reason, created_at
        from known_payment
        where in_period(created_at, %(from_days)s, %(to_days)s)
          and (%(user)s::text is null or user_id = %(user)s)
          and (%(status)s::text is null or status = %(status)s)
        order by created_at desc limit 5""",
    "by_day": """
        select (created_at at time zone 'UTC')::date as day, count(*)
        from known_payment
        where in_period(created_at, %(from_days)s, %(to_days)s)
          and (%(user)s::text is null or user_id = %(user)s)
          and (%(status)s::text is null or status = %(status)s)
        group by 1 order by 1 desc limit %(most)s""",
    "reasons": """
        select coalesce(reason, 'none') as reason, count(*)
        from known_payment
        where status = 'DECLINED'
          and in_period(created_at, %(from_days)s, %(to_days)s)
          and (%(user)s::text is null or user_id = %(user)s)
        group by 1 order by 2 desc, 1 limit %(most)s""",
    "open": """
        select status, settlement_status, count(*), min(created_at) as oldest
        from known_payment
        where (status in ('PENDING', 'OTP_REQUIRED')
              or settlement_status in ('PENDING', 'SENT', 'UNKNOWN', 'RECONCILE'))
          and in_period(created_at, %(from_days)s, %(to_days)s)
          and (%(user)s::text is null or user_id = %(user)s)
        group by 1, 2 order by 3 desc, 1, 2 limit %(most)s""",
    "levels": """
        select level, count(*), round(avg(score))::int as average
        from explanation
        where in_period(created_at, %(from_days)s, %(to_days)s)
          and (%(user)s::text is null or user_id = %(user)s)
        group by level order by 2 desc, 1 limit %(most)s""",
    "factors": """
        select factor.name, count(*)
        from explanation
        cross join jsonb_to_recordset(shape->'factors') as factor (name text)
        where in_period(created_at, %(from_days)s, %(to_days)s)
          and (%(user)s::text is null or user_id = %(user)s)
        group by 1 order by 2 desc, 1 limit %(most)s""",
    "users": """
        select user_id, count(*)
        from known_payment
        where in_period(created_at, %(from_days)s, %(to_days)s)
          and (%(user)s::text is null or user_id = %(user)s)
          and (%(status)s::text is null or status = %(status)s)
        group by 1 order by 2 desc, 1 limit 10""",
    "sources": """
        select coalesce(source, 'waiting') as source, coalesce(reason, 'none') as reason,
            count(*)
        from explanation
        where in_period(created_at, %(from_days)s, %(to_days)s)
          and (%(user)s::text is null or user_id = %(user)s)
        group by 1, 2 order by 3 desc, 1, 2 limit %(most)s""",
}
"""By the names of `domain.queries.QUERIES`. No part of a question is ever part of a statement."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who asks. `user_id` None: an operator, who sees every payment."""

    user_id: str | None

    @property
    def is_operator(self) -> bool:
        """Whether it is an operator."""
        return self.user_id is None


class Figures:
    """Runs prepared queries as the reader."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def rows(
        self, name: str, parameters: Parameters, viewer: Viewer
    ) -> list[dict[str, str | int]]:
        """Return the rows of a query, as they are cited: numbers and texts, amounts in major units.

        Raises psycopg.Error past the time limit.
        """
        async with self._database.transaction() as tx:
            await as_reader(tx, viewer)
            found = await tx.rows(SQL[name], **asdict(parameters), most=MOST_ROWS)
        return [_cited(row) for row in found[:MOST_ROWS]]


async def as_reader(tx: PostgresTransaction, viewer: Viewer) -> None:
    """Run what follows as the reader, for a viewer, up to the end of the transaction."""
    await tx.use(
        {
            **PLANNED,
            "statement_timeout": WITHIN,
            "transaction_read_only": "on",
            "insight.viewer": "operator" if viewer.is_operator else "user",
            "insight.user_id": viewer.user_id or "",
            "role": READER,
        }
    )


def _cited(row: Mapping[str, Any]) -> dict[str, str | int]:
    shown = {name: _plain(value) for name, value in row.items() if name != "amount_minor"}
    if "amount_minor" in row:
        shown["amount"] = Money(row["amount_minor"], row["currency"]).major()
    return shown


def _plain(value: Any) -> str | int:
    match value:
        case int() | str():
            return value
        case datetime():
            return value.isoformat(" ", "seconds").removesuffix("+00:00")
        case date():
            return value.isoformat()
        case Decimal():
            return int(value)
        case _:
            return str(value)
