"""Confirmed payments and reports of fraud, and the counts of both that features are made of."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from fraud.domain.features import (
    BUCKET_S,
    DELAYED,
    MOST_BUCKETS,
    OLD,
    SPANS,
    UNKNOWN,
    WINDOWS,
    Kind,
    Measure,
    Observed,
    Span,
)
from service_runtime.postgres import PostgresTransaction, json_rows

_COUNTED: tuple[tuple[Measure, Span], ...] = (
    *(("payments", span) for span in (*SPANS, *DELAYED)),
    *(("amount_minor", span) for span in SPANS),
    *(("reports", span) for span in (*SPANS, OLD)),
)
"""Columns of the query: every measure over every span, whether a kind needs it or not."""


def _column(number: int, measure: Measure, span: Span) -> str:
    last = f" and bucket <= asked.at {span.last(0):+d}" if span.lag_days else ""
    within = f"bucket >= asked.at {span.first(0):+d}{last}"
    return f"coalesce(sum({measure}) filter (where {within}), 0)::bigint as c{number}"


_COUNTS = f"""
    select asked.id, asked.kind,
           {", ".join(_column(number, *one) for number, one in enumerate(_COUNTED))}
    from json_to_recordset(%(rows)s::json) as asked (id int, kind text, key text, at int)
    left join activity on activity.kind = asked.kind and activity.key = asked.key
                      and bucket > asked.at - {MOST_BUCKETS}
    group by asked.id, asked.kind, asked.at"""  # noqa: S608 - constants of this module


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
        counted = {(row["id"], row["kind"]): row for row in found}
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


def _row(counted: Mapping[tuple[int, str], Mapping[str, Any]], number: int) -> list[int]:
    found = []
    for window in WINDOWS:
        row = counted.get((number, window.kind))
        column = f"c{_COUNTED.index((window.measure, window.span))}"
        found.append(int(UNKNOWN) if row is None else row[column])
    return found
