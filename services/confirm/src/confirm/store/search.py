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
NEWEST = 1000
"""Payments that the figures of now are taken from, and from no longer ago than WINDOW."""
WINDOW = timedelta(minutes=15)
MOST_UNFINISHED = 10_000


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
    scanned = MOST_SCANNED if wanted.is_filtered else limit
    asked = asdict(wanted) | {
        "created_at": before[0],
        "id": before[1],
        "limit": limit,
        "scanned": scanned,
    }
    # The user's payments are found by their key, then sorted; all others by time.
    source = _OF_USER if wanted.user_id is not None else _BY_TIME
    rows = await tx.rows(_SEARCH.replace("{source}", source), **asked)
    last, matches = rows[0], [payment_of(row) for row in rows if row["id"] is not None]
    if len(matches) == limit:
        return Found(matches, (matches[-1].created_at, matches[-1].id))
    is_cut = last["scanned"] == scanned
    return Found(matches, (last["last_at"], last["last_id"]) if is_cut else None)


_BY_TIME = """select id, created_at from payment
    where (created_at, id) < (%(created_at)s, %(id)s)
      and created_at >= coalesce(%(since)s, '-infinity'::timestamptz)
    order by created_at desc, id desc limit %(scanned)s"""
_OF_USER = """select id, created_at from (
        select id, created_at from payment where user_id = %(user_id)s offset 0) as own
    where (created_at, id) < (%(created_at)s, %(id)s)
      and created_at >= coalesce(%(since)s, '-infinity'::timestamptz)
    order by created_at desc, id desc limit %(scanned)s"""
_SEARCH = """
with scanned as materialized ({source}),
matched as (
    select payment_record.* from scanned join payment_record using (id)
    where (%(account)s::text is null or %(account)s in (from_account, to_account))
      and (%(status)s::text is null or status = %(status)s)
      and (%(settlement_status)s::text is null or settlement_status = %(settlement_status)s)
      and (%(amount_minor)s::bigint is null or amount_minor = %(amount_minor)s)
      and (%(currency)s::text is null or currency = %(currency)s)
    order by created_at desc, id desc limit %(limit)s),
ended as (
    select count(*) over () as scanned, created_at as last_at, id as last_id
    from scanned order by created_at, id limit 1)
select (select scanned from ended) as scanned, (select last_at from ended) as last_at,
       (select last_id from ended) as last_id, matched.*
from (values (true)) as one (row) left join matched on true
order by created_at desc, matched.id desc
"""


async def activity(tx: PostgresTransaction, now: datetime) -> dict[str, Any]:
    """Return what the newest payments have become, and what is in flight, with the oldest."""
    newest = await tx.rows(
        """with newest as materialized (
               select id, created_at from payment where created_at > %(since)s
               order by created_at desc, id desc limit %(newest)s)
           select status, settlement_status, reason, count(*) as payments,
                  min(newest.created_at) as first_at
           from newest join payment_state using (id) group by 1, 2, 3 order by 4 desc""",
        since=now - WINDOW,
        newest=NEWEST,
    )
    in_flight = await tx.rows(
        """with open as materialized (select id from unfinished_payment limit %(most)s)
           select status, settlement_status, count(*) as payments, min(created_at) as oldest_at
           from open join payment_record using (id) group by 1, 2 order by 4""",
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
