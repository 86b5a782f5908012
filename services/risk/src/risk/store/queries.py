"""Queries of risk's tables for operators and checks."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from service_runtime.admin import MOST_FINDINGS, Findings
from service_runtime.postgres import PostgresTransaction

OVERDUE = timedelta(seconds=60)
"""A request that waits this long after its expiry has no worker (I8)."""


async def of_payment(tx: PostgresTransaction, payment_id: UUID) -> list[dict[str, Any]]:
    """Return a payment's assessment, if any: score, factors, results of look-ups."""
    return await tx.rows(
        """select status, score, level, amount_usd_minor, factors, sanctions, screenings, kyc,
                  requested_at, assessed_at
           from assessment where id = %(payment_id)s""",
        payment_id=payment_id,
    )


async def export(tx: PostgresTransaction, after: UUID, limit: int) -> list[dict[str, Any]]:
    """Return assessments by payment id."""
    return await tx.rows(
        """select id as payment_id, status, score, sanctions, kyc,
                  coalesce(jsonb_array_length(screenings), 0) as screenings
           from assessment where id > %(after)s order by id limit %(limit)s""",
        after=after,
        limit=limit,
    )


async def check(tx: PostgresTransaction, now: datetime) -> Findings:
    """Return overdue and waiting requests."""
    overdue = await tx.rows(
        """select 'I8' as invariant, id as payment_id,
                  'waits past its end since ' || expires_at as details
           from assessment where due_at < %(late)s and expires_at < %(late)s
           order by due_at limit %(most)s""",
        late=now - OVERDUE,
        most=MOST_FINDINGS,
    )
    unfinished = await tx.rows(
        """select id as payment_id, extract(epoch from %(now)s - requested_at)::float8 as age_s
           from assessment where due_at is not null order by due_at limit %(most)s""",
        now=now,
        most=MOST_FINDINGS,
    )
    return Findings(overdue, unfinished)
