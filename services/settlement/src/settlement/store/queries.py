"""Queries on the instructions for operators and checks."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from service_runtime.admin import MOST_FINDINGS, Findings
from service_runtime.postgres import REPORT, PostgresTransaction, json_rows
from settlement.domain import Status

EVERYTHING = datetime.min.replace(tzinfo=UTC)
MOST_OPEN = 10_000
"""Open instructions that are counted."""
MOST_OF_PARTNER = 5000
"""Open instructions of a partner that are all looked at for a page; of more, by age."""
LEAST_VERSION = {
    Status.QUEUED: 1,
    Status.SENDING: 2,
    Status.SENT: 2,
    Status.UNKNOWN: 3,
    Status.RECONCILE: 3,
    Status.SETTLED: 3,
    Status.REJECTED: 2,
}
"""The minimum version of each status; every step adds one version.

Over Kafka the first step is SENT, or REJECTED where the bank's format cannot express a transfer.
"""


async def find(
    tx: PostgresTransaction, payment_id: UUID | None = None, uetr: UUID | None = None
) -> list[dict[str, Any]]:
    """Return the instruction of a payment or of a UETR."""
    return await tx.rows(
        """select id as payment_id, uetr, transaction_id, user_id, partner, status, next_step,
               version, tries, amount_minor, currency, debtor_account,
               creditor_account, reason, bank_reference, confirmed_at, created_at, updated_at,
               sent_at, unusable_since, unanswered_since, due_at, parked_at, last_error
           from instruction where id = %(payment_id)s or uetr = %(uetr)s
           order by id limit 2""",
        payment_id=payment_id,
        uetr=uetr,
    )


async def export(tx: PostgresTransaction, after: UUID, limit: int) -> list[dict[str, Any]]:
    """Return instructions in the order of their ids."""
    return await tx.rows(
        """select id as payment_id, uetr, partner, status, version, amount_minor, currency,
               updated_at,
               case when next_step in ('PUBLISH', 'AWAIT') then 'kafka' else 'http' end
                   as transport
           from instruction where id > %(after)s order by id limit %(limit)s""",
        after=after,
        limit=limit,
    )


async def check(tx: PostgresTransaction, since: datetime | None = None) -> Findings:
    """Check the instructions that are open or have ended since then (None: all)."""
    unfinished = await _unfinished(tx)
    if since is None:
        await tx.use(REPORT)
    return Findings(await _violations(tx, since or EVERYTHING), unfinished)


async def _unfinished(tx: PostgresTransaction) -> list[dict[str, Any]]:
    """Return the open instructions; one at a bank on Kafka only once its time is over.

    That bank may report until `enquire_after_s`, and within `answer_within_s` of the second
    publication. Each report starts its time anew. An own step that is due ends it at once.
    """
    return await tx.rows(
        """select id as payment_id,
               extract(epoch from now() - since)::float8 as age_s
           from (select id, case when status = 'SENT' and next_step = 'PUBLISH'
                     then least(due_at, unanswered_since
                         + make_interval(secs => enquire_after_s + answer_within_s))
                     else instruction.created_at end as since
                 from instruction left join kafka_partner using (partner)
                 where due_at is not null) as open
           where since < now() order by since limit %(most)s""",
        most=MOST_FINDINGS,
    )


async def _violations(tx: PostgresTransaction, since: datetime) -> list[dict[str, Any]]:
    least = [{"status": status, "least": least} for status, least in LEAST_VERSION.items()]
    # Two ranges, one for each index; a single condition with `or` would read the whole table.
    return await tx.rows(
        """select 'I4' as invariant, id as payment_id,
               status || ' at version ' || version as details
           from (select id, status, version from instruction where due_at is not null
                 union all
                 select id, status, version from instruction
                 where due_at is null and updated_at >= %(since)s) as changed
           join json_to_recordset(%(least)s::json) as known (status text, least int)
               using (status)
           where version < least order by id limit %(most)s""",
        since=since,
        least=json_rows(least),
        most=MOST_FINDINGS,
    )


async def open_by_partner(tx: PostgresTransaction) -> list[dict[str, Any]]:
    """Count the open instructions by partner and status, each with the oldest."""
    return await tx.rows(
        """with open as materialized (
               select partner, status, created_at, due_at, parked_at from instruction
               where due_at is not null order by created_at limit %(most)s)
           select partner, status, count(*) as instructions, min(created_at) as oldest_at,
                  min(due_at) as next_at, count(parked_at) as parked
           from open group by partner, status order by partner, status""",
        most=MOST_OPEN,
    )


async def search(
    tx: PostgresTransaction, partner: str, after: tuple[datetime, UUID], limit: int
) -> list[dict[str, Any]]:
    """Return a partner's open instructions, the oldest first."""
    # Those of another bank, which may have stopped, are not read on the way to a bank's few.
    source = _OF_PARTNER if await _has_few(tx, partner) else _BY_AGE
    return await tx.rows(
        _SEARCH.replace("{source}", source),
        partner=partner,
        created_at=after[0],
        id=after[1],
        limit=limit,
    )


async def _has_few(tx: PostgresTransaction, partner: str) -> bool:
    """Say whether all open instructions of a partner can be looked at for each page."""
    rows = await tx.rows(
        """select count(*) as open from (
               select from instruction where partner = %(partner)s and due_at is not null
                   and parked_at is null limit %(most)s) as counted""",
        partner=partner,
        most=MOST_OF_PARTNER + 1,
    )
    return bool(rows[0]["open"] <= MOST_OF_PARTNER)


_BY_AGE = "select * from instruction where due_at is not null and partner = %(partner)s"
# The halves have an index each, which begins with the partner or is of parked ones alone.
_OF_PARTNER = """select * from instruction
    where due_at is not null and parked_at is null and partner = %(partner)s
    union all
    select * from instruction
    where due_at is not null and parked_at is not null and partner = %(partner)s
    offset 0"""
_SEARCH = """
select id as payment_id, uetr, transaction_id, user_id, partner, status, amount_minor,
       currency, debtor_account, creditor_account, created_at, due_at, tries, last_error
from ({source}) as open
where (created_at, id) > (%(created_at)s, %(id)s)
order by created_at, id limit %(limit)s
"""
