"""Confirmed payments and reports of fraud, and the counts of both that features are made of."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from fraud.domain.features import (
    BUCKET_S,
    KINDS,
    UNKNOWN,
    WINDOWS,
    Kind,
    Measure,
    Observed,
    Window,
)
from service_runtime.postgres import PostgresTransaction, json_rows


def _sum(window: Window) -> str:
    span = window.span
    last = f" and bucket <= requested.at {span.last(0):+d}" if span.lag_days else ""
    within = f"bucket >= requested.at {span.first(0):+d}{last}"
    # Of counts as int: the sum of a bigint is a numeric, which costs more.
    column = window.measure if window.measure == "amount_minor" else f"{window.measure}::int"
    return f"coalesce(sum({column}) filter (where {within}), 0)::bigint"


def _counts_of(kind: Kind) -> str:
    """Return the query of one kind: what it needs alone, in the order of `WINDOWS`."""
    windows = [one for one in WINDOWS if one.kind == kind]
    first = min(one.span.first(0) for one in windows)
    # A subquery of each row needs no sort, as groups of all rows would.
    return f"""
        select requested.id, '{kind}' as kind, counted.counts
        from requested cross join lateral (
            select array[{", ".join(map(_sum, windows))}] as counts
            from activity where activity.kind = '{kind}' and activity.key = requested.key
                                and bucket >= requested.at {first:+d}) as counted
        where requested.kind = '{kind}'"""  # noqa: S608 - constants of this module


_WINDOWS_OF = Counter(one.kind for one in WINDOWS)
"""How many whole numbers each kind has, in the order of `WINDOWS`, which has them by kind."""
_COUNTS = f"""
    with requested as (
        select * from json_to_recordset(%(rows)s::json)
            as one (id int, kind text, key text, at int))
    {" union all ".join(map(_counts_of, KINDS))}"""  # noqa: S608 - constants of this module


@dataclass(frozen=True, slots=True)
class Paid:
    """A confirmed payment."""

    payment_id: UUID
    user_id: str
    transaction_id: str
    payee: str
    device: str | None
    amount_usd_minor: int
    confirmed_at: datetime

    def observed(self) -> Observed:
        """Return the payment as features see it."""
        return Observed(
            int(self.confirmed_at.timestamp()),
            self.amount_usd_minor,
            self.user_id,
            self.payee,
            self.device,
        )


Change = dict[Measure, int]


class Activity:
    """Payments, reports and counts within one transaction."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self._tx = tx

    async def rows(self, payments: Sequence[Observed]) -> list[list[int]]:
        """Return the whole numbers of payments (see `WINDOWS`), a row each."""
        asked = [
            {"id": number, "kind": kind, "key": key, "at": payment.bucket}
            for number, payment in enumerate(payments)
            for kind, key in payment.keys().items()
        ]
        found = await self._tx.rows(_COUNTS, rows=json_rows(asked))
        counted = {(row["id"], row["kind"]): row["counts"] for row in found}
        return [_row(counted, number) for number in range(len(payments))]

    async def pay(self, payments: Sequence[Paid]) -> None:
        """Keep and count confirmed payments, each once."""
        rows = sorted(payments, key=lambda one: str(one.payment_id))
        new = await self._tx.rows(
            """insert into paid (payment_id, user_id, transaction_id, payee, device,
                                 amount_usd_minor, confirmed_at)
               select payment_id, user_id, transaction_id, payee, device, amount_usd_minor,
                      confirmed_at
               from json_populate_recordset(null::paid, %(rows)s::json)
               on conflict do nothing returning *""",
            rows=json_rows(rows),
        )
        changes = defaultdict[tuple[Kind, str, int], Change](lambda: defaultdict(int))
        for one in (Paid(**row).observed() for row in new):
            for kind, key in one.keys().items():
                change = changes[kind, key, one.bucket]
                change["payments"] += 1
                change["amount_minor"] += one.amount_usd_minor
        await self._add(changes)

    async def found(self, user_id: str, transaction_id: str) -> Paid | None:
        """Return a payment by its owner's id of it."""
        rows = await self._tx.rows(
            """select * from paid
               where user_id = %(user_id)s and transaction_id = %(transaction_id)s""",
            user_id=user_id,
            transaction_id=transaction_id,
        )
        return Paid(**rows[0]) if rows else None

    async def report(self, paid: Paid, at: datetime, **fields: Any) -> bool:
        """Keep and count the first report of a payment; return whether it is the first.

        `fields`: `fraud_type`, `details`, `reported_by`.
        """
        new = await self._tx.rows(
            """insert into report (payment_id, fraud_type, details, reported_by, reported_at)
               values (%(payment_id)s, %(fraud_type)s, %(details)s, %(reported_by)s, %(at)s)
               on conflict do nothing returning payment_id""",
            payment_id=paid.payment_id,
            at=at,
            **fields,
        )
        bucket = int(at.timestamp()) // BUCKET_S
        keys = paid.observed().keys().items() if new else ()
        await self._add({(kind, key, bucket): {"reports": 1} for kind, key in keys})
        return bool(new)

    async def reports(self, user_id: str) -> list[dict[str, Any]]:
        """Return a user's reported payments, the latest first."""
        return await self._tx.rows(
            """select transaction_id, fraud_type, reported_at
               from paid join report using (payment_id)
               where user_id = %(user_id)s order by reported_at desc limit 100""",
            user_id=user_id,
        )

    async def _add(self, changes: Mapping[tuple[Kind, str, int], Change]) -> None:
        """Add to counts, in one order for all writers, so that two batches cannot deadlock."""
        rows = [
            {"kind": kind, "key": key, "bucket": bucket, "begins_at": _begin(bucket)} | _NONE | one
            for (kind, key, bucket), one in sorted(changes.items())
        ]
        if rows:
            await self._tx.run(
                """insert into activity as kept (kind, key, bucket, payments, amount_minor,
                                                 reports, begins_at)
                   select kind, key, bucket, payments, amount_minor, reports, begins_at
                   from json_populate_recordset(null::activity, %(rows)s::json)
                   on conflict (kind, key, bucket) do update
                   set payments = kept.payments + excluded.payments,
                       amount_minor = kept.amount_minor + excluded.amount_minor,
                       reports = kept.reports + excluded.reports""",
                rows=json_rows(rows),
            )


_NONE: dict[Measure, int] = {"payments": 0, "amount_minor": 0, "reports": 0}


def _begin(bucket: int) -> datetime:
    return datetime.fromtimestamp(bucket * BUCKET_S, UTC)


def _row(counted: Mapping[tuple[int, str], Sequence[int]], number: int) -> list[int]:
    found: list[int] = []
    for kind, count in _WINDOWS_OF.items():
        found += counted.get((number, kind)) or [int(UNKNOWN)] * count
    return found
