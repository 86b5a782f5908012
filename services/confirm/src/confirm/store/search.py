"""Operators' search: newest first, by indexes, with a bound on the rows that a page looks at."""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from confirm.domain.payment import Payment
from confirm.store.postgres import payment_of
from service_runtime.postgres import PostgresTransaction

MOST_SCANNED = 1000
"""Payments that one page looks at: a filter that few payments match must not read the table."""
MOST_OF_USER = 5000
"""Payments of a user that are all looked at for a page; a user with more is searched by time."""
NEWEST = 1000
"""Payments that the figures of now are taken from, and from no longer ago than WINDOW."""
WINDOW = timedelta(minutes=15)
MOST_UNFINISHED = 5000


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a search asks for; None asks for nothing."""

    user_id: str | None = None
    account: str | None = None
    status: str | None = None
    settlement_status: str | None = None
    amount_minor: int | None = None
    currency: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def is_filtered(self) -> bool:
        """Whether a payment of the user and the time may not match."""
        filters = self.account, self.status, self.settlement_status, self.amount_minor
        return any(one is not None for one in (*filters, self.currency))


Key = tuple[datetime, UUID]
"""Creation and id: the order of a search."""


@dataclass(frozen=True, slots=True)
class Found:
    """One page: the payments, and the key of the last one that was looked at, None at the end."""

    payments: list[Payment]
    last: Key | None


async def search(tx: PostgresTransaction, wanted: Wanted, before: Key, limit: int) -> Found:
    """Return the newest matching payments before a key."""
    of_user = wanted.user_id is not None and await _has_few(tx, wanted.user_id)
    is_filtered = wanted.is_filtered or (wanted.user_id is not None and not of_user)
    scanned = MOST_SCANNED if is_filtered else limit
    asked = asdict(wanted) | {
        "created_at": before[0],
        "id": before[1],
        "limit": limit,
        "scanned": scanned,
    }
    rows = await tx.rows(_SEARCH.replace("{source}", _OF_USER if of_user else _BY_TIME), **asked)
    last, matches = rows[0], [payment_of(row) for row in rows if row["id"] is not None]
    if len(matches) == limit:
        return Found(matches, (matches[-1].created_at, matches[-1].id))
    is_cut = last["scanned"] == scanned
    return Found(matches, (last["last_at"], last["last_id"]) if is_cut else None)


async def _has_few(tx: PostgresTransaction, user_id: str) -> bool:
    """Say whether all payments of a user can be looked at for each page."""
    rows = await tx.rows(
        """select count(*) as payments from (
               select from payment where user_id = %(user_id)s limit %(most)s) as counted""",
        user_id=user_id,
        most=MOST_OF_USER + 1,
    )
    return bool(rows[0]["payments"] <= MOST_OF_USER)


_BY_TIME = """select id, created_at, user_id, from_account, to_account, amount_minor, currency
    from payment
    where (created_at, id) < (%(created_at)s, %(id)s)
      and created_at >= coalesce(%(since)s, '-infinity'::timestamptz)
    order by created_at desc, id desc limit %(scanned)s"""
_OF_USER = """select * from (
        select id, created_at, user_id, from_account, to_account, amount_minor, currency
        from payment where user_id = %(user_id)s offset 0) as own
    where (created_at, id) < (%(created_at)s, %(id)s)
      and created_at >= coalesce(%(since)s, '-infinity'::timestamptz)
    order by created_at desc, id desc limit %(scanned)s"""
# What never changes is filtered in the scan; states are looked up for what is left, and whole
# payments for the page alone. `offset 0` keeps each look-up one by key, whatever is estimated.
_SEARCH = """
with scanned as materialized ({source}),
matched as materialized (
    select newest.id, created_at
    from (select * from scanned order by created_at desc, id desc) as newest
    cross join lateral (
        select status, settlement_status from payment_state
        where payment_state.id = newest.id offset 0) as state
    where (%(user_id)s::text is null or user_id = %(user_id)s)
      and (%(account)s::text is null or %(account)s in (from_account, to_account))
      and (%(amount_minor)s::bigint is null or amount_minor = %(amount_minor)s)
      and (%(currency)s::text is null or currency = %(currency)s)
      and (%(status)s::text is null or status = %(status)s)
      and (%(settlement_status)s::text is null or settlement_status = %(settlement_status)s)
    order by created_at desc, newest.id desc limit %(limit)s),
ended as (
    select count(*) over () as scanned, created_at as last_at, id as last_id
    from scanned order by created_at, id limit 1)
select (select scanned from ended) as scanned, (select last_at from ended) as last_at,
       (select last_id from ended) as last_id, page.*
from (values (true)) as one (row) left join (
    select record.* from matched cross join lateral (
        select * from payment_record where payment_record.id = matched.id offset 0) as record
) as page on true
order by created_at desc, page.id desc
"""


async def activity(tx: PostgresTransaction, now: datetime) -> dict[str, Any]:
    """Return what the newest payments have become, and what is in flight, with the oldest."""
    newest = await tx.rows(
        """with newest as materialized (
               select id, created_at from payment where created_at > %(since)s
               order by created_at desc, id desc limit %(newest)s)
           select status, settlement_status, reason, count(*) as payments,
                  min(newest.created_at) as first_at
           from newest cross join lateral (
               select status, settlement_status, reason from payment_state
               where payment_state.id = newest.id offset 0) as state
           group by 1, 2, 3 order by 4 desc""",
        since=now - WINDOW,
        newest=NEWEST,
    )
    in_flight = await tx.rows(
        """with open as materialized (select id from unfinished_payment limit %(most)s)
           select status, settlement_status, count(*) as payments, min(created_at) as oldest_at
           from open cross join lateral (
               select status, settlement_status, created_at from payment_record
               where payment_record.id = open.id offset 0) as record
           group by 1, 2 order by 4""",
        most=MOST_UNFINISHED,
    )
    return {
        "now": now,
        "newest": newest,
        "in_flight": in_flight,
        "window_s": WINDOW.total_seconds(),
        "newest_at_most": NEWEST,
        "in_flight_at_most": MOST_UNFINISHED,
    }
