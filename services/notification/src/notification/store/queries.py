"""Queries of notification's tables for operators and checks."""

from typing import Any
from uuid import UUID

from service_runtime.admin import MOST_FINDINGS, Findings
from service_runtime.postgres import PostgresTransaction

MOST_SHOWN = 100


async def of_payment(tx: PostgresTransaction, payment_id: UUID) -> list[dict[str, Any]]:
    """Return a payment's deliveries, without text, phone number and address."""
    return await tx.rows(
        """select id as delivery_id, payment_id, channel, template, status, reason,
               provider_id, tries, created_at, updated_at, due_at, expires_at,
               parked_at, last_error
           from delivery where payment_id = %(payment_id)s
           order by created_at, id limit %(limit)s""",
        payment_id=payment_id,
        limit=MOST_SHOWN,
    )


async def export(tx: PostgresTransaction, after: UUID, limit: int) -> list[dict[str, Any]]:
    """Return payments by id, with the templates of their messages."""
    return await tx.rows(
        """select page.payment_id, found.templates
           from (select distinct payment_id from delivery where payment_id > %(after)s
                 order by payment_id limit %(limit)s) as page
           cross join lateral (
               select array_agg(template order by template) as templates
               from delivery as one where one.payment_id = page.payment_id) as found
           order by page.payment_id""",
        after=after,
        limit=limit,
    )


async def check(tx: PostgresTransaction, _since: object = None) -> Findings:
    """Return outcomes whose message expired (I13), and deliveries that are due."""
    expired = await tx.rows(
        """select 'I13' as invariant, payment_id,
               template || ' by ' || channel || ' expired' as details
           from delivery where status = 'EXPIRED' and template <> 'code' and payment_id is not null
           order by id limit %(most)s""",
        most=MOST_FINDINGS,
    )
    unfinished = await tx.rows(
        """select payment_id,
               extract(epoch from clock_timestamp() - created_at)::float8 as age_s
           from delivery where due_at is not null and payment_id is not null
           order by created_at limit %(most)s""",
        most=MOST_FINDINGS,
    )
    return Findings(expired, unfinished)
