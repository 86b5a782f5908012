"""Queries of operators and checks."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from service_runtime.admin import MOST_FINDINGS, Findings
from service_runtime.postgres import PostgresTransaction

CHECKED = 1000
"""How many of the latest challenges a check reads."""
CHECKED_FOR = timedelta(days=1)
"""How long a challenge is checked after it expired."""


async def of_payment(tx: PostgresTransaction, payment_id: UUID) -> list[dict[str, Any]]:
    """Return a payment's challenges, without salt and digest."""
    return await tx.rows(
        """select id as challenge_id, number, state, attempts, expires_at
           from challenge where payment_id = %(payment_id)s order by number""",
        payment_id=payment_id,
    )


async def export(tx: PostgresTransaction, after: UUID, limit: int) -> list[dict[str, Any]]:
    """Return a page of payments by id, with their challenges."""
    return await tx.rows(
        """select page.payment_id, found.challenges
           from (select distinct payment_id from challenge where payment_id > %(after)s
                 order by payment_id limit %(limit)s) as page
           cross join lateral (
               select json_agg(json_build_object(
                          'state', state, 'attempts', attempts, 'amount_minor', amount_minor,
                          'currency', currency, 'payee', payee) order by number) as challenges
               from challenge as one where one.payment_id = page.payment_id) as found
           order by page.payment_id""",
        after=after,
        limit=limit,
    )


async def check(tx: PostgresTransaction, now: datetime) -> Findings:
    """Return challenges whose state differs from their verifications.

    Nothing is ever unfinished, because the transaction that reads a request also replies.
    """
    violations = await tx.rows(
        """select 'I10' as invariant, payment_id,
                  'challenge ' || number || ': ' || attempts || ' attempts and ' || state
                  || ', but ' || counted || ' counted and ' || accepted || ' accepted' as details
           from (select one.*, judged.*
                 from (select * from challenge where expires_at > %(since)s
                       order by expires_at desc limit %(checked)s) as one
                 cross join lateral (
                       select count(*) as counted,
                              count(*) filter (where result = 'valid') as accepted
                       from verification as kept
                       where kept.challenge_id = one.id and kept.counted) as judged) as seen
           where attempts <> counted or (state = 'ACCEPTED')::int <> accepted
           limit %(most)s""",
        since=now - CHECKED_FOR,
        checked=CHECKED,
        most=MOST_FINDINGS,
    )
    return Findings(violations, [])
