"""Queries of the audit log for checks."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from audit.domain import FINAL, QUIET, UNREADABLE
from audit.store import MOST_ROWS
from payment_schemas.invariants import Fault, Timeline, faults_of_entries
from service_runtime.admin import MOST_FINDINGS, Findings
from service_runtime.postgres import REPORT, PostgresTransaction

EVERYTHING = datetime.min.replace(tzinfo=UTC)


async def timelines(tx: PostgresTransaction, after: UUID, limit: int) -> list[dict[str, Any]]:
    """Return payments by id, with the names and versions of their entries by time."""
    return await tx.rows(
        """select page.payment_id, entries.events, entries.versions
           from (select distinct payment_id from audit_entry where payment_id > %(after)s
                 order by payment_id limit %(limit)s) as page
           cross join lateral (
               select array_agg(event order by created_at, id) as events,
                      array_agg((metadata->>'version')::bigint order by created_at, id)
                          as versions
               from (select id, event, metadata, created_at from audit_log as entry
                     where entry.payment_id = page.payment_id
                     order by created_at, id limit %(most)s) as first) as entries
           order by page.payment_id""",
        after=after,
        limit=limit,
        most=MOST_ROWS,
    )


async def events(tx: PostgresTransaction, payment_id: UUID) -> list[dict[str, Any]]:
    """Return the events of one payment, by time; `is_raw`: with all fields of the record.

    Others have sealed fields, and were stored without these; one that is unreadable has none.
    """
    return await tx.rows(
        """select event_id, topic, "partition", "offset", created_at, value is not null as is_raw,
                  coalesce(decoded(value), metadata) as fields
           from audit_entry where payment_id = %(payment_id)s
           order by created_at, id limit %(most)s""",
        payment_id=payment_id,
        most=MOST_ROWS,
    )


async def check(tx: PostgresTransaction, since: datetime, now: datetime) -> Findings:
    """Check the payments with entries recorded since a time, or all with EVERYTHING.

    The log is append-only: without new entries a payment's result does not change.
    """
    parameters = {"since": since, "now": now, "most": MOST_FINDINGS, "final": list(FINAL)}
    parameters |= {"quiet_since": now - QUIET}
    if since == EVERYTHING:
        await tx.use(REPORT)
    groups = await tx.rows(_PAYMENTS, **parameters)
    violations = sorted(
        (one for group in groups if group["age_s"] is None for one in _violations(group)),
        key=lambda one: (one["payment_id"], one["details"]),
    )
    unfinished = [
        {"payment_id": one["payment_ids"][0], "age_s": one["age_s"]}
        for one in groups
        if one["age_s"] is not None
    ]
    faults = await _faults_of_trees(tx, is_whole=since == EVERYTHING)
    return Findings([*faults, *violations[:MOST_FINDINGS]], unfinished)


async def _faults_of_trees(tx: PostgresTransaction, *, is_whole: bool) -> list[dict[str, Any]]:
    """Return where the table takes changes, or, in a whole check, the trees lack rows (I15)."""
    found = await tx.rows(_REFUSES) + (await tx.rows(_COUNTS) if is_whole else [])
    return [{"invariant": "I15", "details": one["details"]} for one in found if one["is_broken"]]


def _violations(group: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the violations of payments with the same entries."""
    timeline = Timeline("", tuple(group["events"]), tuple(group["versions"]))
    faults = list(faults_of_entries(timeline, is_quiet=group["is_quiet"]))
    if UNREADABLE in timeline.events:
        faults.append(Fault("I9", "an entry is not readable"))
    return [
        {"invariant": fault.invariant, "payment_id": payment_id, "details": fault.details}
        for fault in faults
        for payment_id in group["payment_ids"]
    ]


# `offset 0`: a row is decoded once, not once a column. Payments with the same entries are one row,
# so that a day's payments are not transferred.
_PAYMENTS = """
    with recent as (
        select distinct payment_id from audit_entry
        where recorded_at >= %(since)s and payment_id is not null
    ), payments as (
        select payment_id, array_agg(event order by event, version) as events,
               array_agg(version order by event, version) as versions,
               min(created_at) as began_at, max(recorded_at) < %(quiet_since)s as is_quiet
        from (select payment_id, event, (metadata->>'version')::bigint as version, created_at,
                     recorded_at
              from audit_log join recent using (payment_id) offset 0) as entries
        group by payment_id
    ), unfinished as (
        select payment_id, floor(extract(epoch from %(now)s - began_at))::int as age_s
        from payments where not events && %(final)s
        order by began_at, payment_id limit %(most)s
    )
    select events, versions, is_quiet,
           (array_agg(payment_id order by payment_id))[:%(most)s] as payment_ids, null as age_s
    from payments group by events, versions, is_quiet
    union all
    select null, null, null, array[payment_id], age_s from unfinished"""
_REFUSES = """
    select not exists (
               select from pg_trigger
               where tgrelid = 'audit_entry'::regclass and tgname = 'audit_log_append_only'
                 and tgenabled = 'A') as is_broken,
           'the trigger that refuses changes is off' as details"""
# One statement: an append between two of them would be a fault.
_COUNTS = """
    with counted as (
        select (select coalesce(sum(size), 0) from audit_tree) as leaves,
               (select coalesce(sum(size), 0) from audit_tree where era = 1) as live,
               (select coalesce(sum(size), 0) from audit_seal) as sealed,
               (select coalesce(sum(length(leaves)), 0) / 48 from audit_leaves) as waiting,
               (select count(*) from audit_entry, audit_history where id > last_id) as rows
    )
    select leaves <> sealed + waiting as is_broken,
           format('the trees have %s leaves, of which %s are sealed and %s wait', leaves, sealed,
                  waiting) as details from counted
    union all
    select live <> rows, format('the trees have %s leaves, and the table %s rows', live, rows)
    from counted"""
