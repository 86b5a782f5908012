"""Queries for people who look at all partners: statements by day, and what is at each bank now."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from service_runtime.postgres import PostgresTransaction

MOST_COUNTED = 10_000
"""Rows of one partner that are counted; a page shows more as "10000 or more"."""
MOST_OF_DAY = 2000
"""Lines, and cases, of a partner and day that are counted: a page has some days of all partners."""


async def statement_days(
    tx: PostgresTransaction, partners: Sequence[str], since: date, until: date
) -> list[dict[str, Any]]:
    """Return each partner's days, the newest first: what is on the statement, and what is broken.

    A break that is on the statement has one booking, so that what is left of them has matched.
    """
    return await tx.rows(
        """select partner.partner, day.day, read.read_at,
               booked.count as booked,
               greatest(booked.count - found.on_statement, 0) as matched,
               found.open, found.proposed, found.resolved
           from unnest(%(partners)s::text[]) as partner (partner)
           cross join unnest(%(days)s::date[]) as day (day)
           left join statement_read as read
               on read.partner = partner.partner and read.day = day.day
           cross join lateral (
               select count(*) from (
                   select from booking
                   where booking.partner = partner.partner and booking.day = day.day
                     and not is_reversal limit %(most)s) as counted) as booked
           cross join lateral (
               select count(*) filter (where status = 'OPEN') as open,
                   count(*) filter (where status = 'PROPOSED') as proposed,
                   count(*) filter (where status = 'RESOLVED') as resolved,
                   count(*) filter (where kind in ('MISSING_HERE', 'AMOUNT_DIFFERS'))
                       as on_statement
               from (
                   select status, kind from reconciliation_case as one
                   where one.partner = partner.partner and one.day = day.day
                   limit %(most)s) as counted) as found
           order by 2 desc, 1""",
        partners=list(partners),
        # As values, so that the planner knows how many: it takes any series for 1,000 days.
        days=[until - timedelta(days=age) for age in range((until - since).days + 1)],
        most=MOST_OF_DAY,
    )


async def cases_of_day(
    tx: PostgresTransaction, partner: str, day: date, after: tuple[datetime, UUID], limit: int
) -> list[dict[str, Any]]:
    """Return the cases of a partner's day behind a key, the oldest first."""
    opened_at, case_id = after
    return await tx.rows(
        """select * from reconciliation_case
           where partner = %(partner)s and day = %(day)s
             and (opened_at, id) > (%(opened_at)s, %(id)s)
           order by opened_at, id limit %(limit)s""",
        partner=partner,
        day=day,
        opened_at=opened_at,
        id=case_id,
        limit=limit,
    )


async def activity(tx: PostgresTransaction, partners: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return what is at each partner now, and what it did in the last minute."""
    rows = await tx.rows(
        """select partner.partner, at_bank.*, coalesce(ended.settled, 0) as settled,
               coalesce(ended.rejected, 0) as rejected, last.day as statement_day,
               last.read_at as statement_read_at, replay.published as replay_published,
               replay.until as replay_until, replay.finished_at as replay_finished_at
           from unnest(%(partners)s::text[]) as partner (partner)
           cross join lateral (
               select count(*) filter (where status = 'QUEUED') as queued,
                   count(*) filter (where status = 'RECONCILE') as for_people,
                   count(*) filter (where is_sent) as unanswered,
                   count(*) filter (where is_sent and age >= '1 minute') as over_1_minute,
                   count(*) filter (where is_sent and age >= '5 minutes') as over_5_minutes,
                   count(*) filter (where is_sent and age >= '1 hour') as over_1_hour,
                   coalesce(extract(epoch from max(age) filter (where is_sent)), 0)::float8
                       as oldest_s
               from (
                   select status, status not in ('QUEUED', 'RECONCILE') as is_sent,
                       now() - coalesce(sent_at, created_at) as age
                   from instruction as one
                   where one.partner = partner.partner and due_at is not null
                     and parked_at is null limit %(most)s) as counted) as at_bank
           left join (
               select recent.partner, count(*) filter (where status = 'SETTLED') as settled,
                   count(*) filter (where status = 'REJECTED') as rejected
               from (
                   select instruction.partner, status from instruction
                   where due_at is null and updated_at >= now() - interval '1 minute'
                   limit %(most)s) as recent
               group by recent.partner) as ended on ended.partner = partner.partner
           left join lateral (
               select day, read_at from statement_read as read
               where read.partner = partner.partner order by day desc limit 1) as last on true
           left join partner_replay as replay on replay.partner = partner.partner""",
        partners=list(partners),
        most=MOST_COUNTED,
    )
    return {row["partner"]: row for row in rows}
