"""Queries for operators, checks and metrics."""

from itertools import product
from typing import Any
from uuid import UUID

from service_runtime.admin import MOST_FINDINGS, Findings
from service_runtime.postgres import PostgresTransaction
from webhooks.domain.events import EVENT_TYPES, message_id

MOST_CHANGES = 50
"""Changes of a payment whose messages are looked up: it has some ten."""


async def check(tx: PostgresTransaction, _since: object = None) -> Findings:
    """Return deliveries of endpoints that are on, due for long and never tried."""
    unfinished = await tx.rows(
        """select d.payment_id, extract(epoch from clock_timestamp() - d.due_at)::float8 as age_s
           from endpoint as e cross join lateral (
               select payment_id, due_at from delivery
               where endpoint_id = e.id and due_at is not null and parked_at is null
                 and due_at <= now() and payment_id is not null
               order by due_at limit 1) as d
           where e.is_on and e.is_fast order by d.due_at limit %(most)s""",
        most=MOST_FINDINGS,
    )
    return Findings([], unfinished)


async def oldest_due_s(tx: PostgresTransaction) -> float:
    """Return for how long the oldest delivery of the fast lanes has been due; 0 without one."""
    rows = await tx.rows(
        """select coalesce(max(extract(epoch from now() - d.due_at)), 0)::float8 as age_s
           from endpoint as e cross join lateral (
               select due_at from delivery
               where endpoint_id = e.id and due_at is not null and parked_at is null
               order by due_at limit 1) as d
           where e.is_on and e.is_fast"""
    )
    return max(0.0, float(rows[0]["age_s"]))


async def off_endpoints(tx: PostgresTransaction) -> int:
    """Count the endpoints that were switched off because they fail."""
    rows = await tx.rows("select count(*) from endpoint where off_reason in ('gone', 'failing')")
    return int(rows[0]["count"])


async def of_payment(tx: PostgresTransaction, payment_id: UUID) -> list[dict[str, Any]]:
    """Return what was sent about a payment to its owner's endpoints, in the order of its changes.

    By the messages' ids, which follow from endpoint and change: no index is by payment.
    """
    known = await tx.rows(
        """select endpoint.id, least(state.sequence, %(most)s)::int as sequence
           from payment_state as state join endpoint using (user_id)
           where state.payment_id = %(payment_id)s""",
        payment_id=payment_id,
        most=MOST_CHANGES,
    )
    ids = [
        message_id(row["id"], payment_id, sequence, event)
        for row in known
        for sequence, event in product(range(1, row["sequence"] + 1), EVENT_TYPES)
    ]
    return await tx.rows(
        """select delivery.id as delivery_id, endpoint_id, endpoint.url, type, sequence, status,
                  tries, last_status, last_reason, delivery.created_at, delivery.updated_at, due_at
           from delivery join endpoint on endpoint.id = endpoint_id
           where delivery.id = any(%(ids)s) order by sequence, endpoint_id""",
        ids=ids,
    )


async def endpoints(tx: PostgresTransaction, after: UUID, limit: int) -> list[dict[str, Any]]:
    """Return endpoints of all owners behind an id; of each, whether something waits or failed."""
    return await tx.rows(
        """select id, user_id, url, event_types, scheme, is_on, off_reason, failures,
               failing_since, last_error, created_at, updated_at, waiting.oldest_due_at,
               exists (select from delivery where endpoint_id = one.id and status = 'FAILED')
                   as has_failed
           from endpoint as one
           cross join lateral (
               select min(due_at) as oldest_due_at from (
                   select due_at from delivery
                   where endpoint_id = one.id and due_at is not null and parked_at is null
                   order by due_at limit 1) as first) as waiting
           where id > %(after)s order by id limit %(limit)s""",
        after=after,
        limit=limit,
    )
