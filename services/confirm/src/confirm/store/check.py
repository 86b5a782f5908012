"""Checks confirm's tables against the invariants: recent changes, or everything.

Entries are append-only, so their sums up to a checkpoint stay valid. A check adds only the newer
entries and compares every account's balance. Only a full check reads unchanged rows again.
"""

from datetime import UTC, datetime
from typing import Any, LiteralString

from payment_schemas.invariants.rules import JOURNALS
from service_runtime.admin import Findings, counts_of
from service_runtime.postgres import REPORT, PostgresTransaction, json_rows

EVERYTHING = datetime.min.replace(tzinfo=UTC)

# Payments that changed since then: by their own time or by a journal's time.
_CHANGED: LiteralString = """
    with changed as (
        select payment_id as id from journal where posted_at >= %(since)s
        union
        select id from payment where updated_at >= %(since)s
            and settlement_status in ('PENDING', 'SENT', 'UNKNOWN', 'RECONCILE')
        union
        select id from payment where updated_at >= %(since)s
            and settlement_status in ('SETTLED', 'REJECTED'))"""
_MISFITS: LiteralString = """
    select payment.id as payment_id from changed join payment using (id)
    cross join lateral (select coalesce(array_agg(kind order by kind), '{}') as kinds
                        from journal where journal.payment_id = payment.id) as posted
    join json_to_recordset(%(journals)s::json) as rule (settlement_status text, kinds text[])
        using (settlement_status)
    where posted.kinds <> rule.kinds limit 20"""
_UNSCORED: LiteralString = """
    select payment.id as payment_id from changed join payment using (id)
    where status = 'CONFIRMED' and risk_score is null limit 20"""
# `offset 0` makes the planner read entries by journal instead of joining the whole table.
_CHECKS: dict[str, LiteralString] = {
    "I3 a journal does not sum to zero": """
        select journal.payment_id from journal join entry on journal.id = entry.journal_id
        where journal.posted_at >= %(since)s
        group by journal.payment_id, journal.id, entry.currency
        having sum(entry.amount_minor) <> 0 limit 20""",
    "I3 a balance differs from its entries": """
        with recent as (
            select account_id, sum(amount_minor) as total from journal
            cross join lateral (select account_id, amount_minor from entry
                                where journal_id = journal.id offset 0) as posted
            where posted_at >= (select posted_before from ledger_frontier) group by 1)
        select account.id as account from account
        left join ledger_checkpoint as kept on kept.account_id = account.id
        left join recent on recent.account_id = account.id
        where account.balance_minor
              <> coalesce(kept.balance_minor, 0) + coalesce(recent.total, 0) limit 20""",
    "I3 in-flight differs from what is not yet settled or returned": """
        select account.id as account from account
        left join (select currency, sum(amount_minor) as total from payment
                   where settlement_status in ('PENDING', 'SENT', 'UNKNOWN', 'RECONCILE')
                   group by 1) as unsettled using (currency)
        where account.id like 'in-flight:%%'
          and account.balance_minor <> coalesce(unsettled.total, 0)""",
    "I3 journals do not fit the payment's state": _CHANGED + _MISFITS,
    "I12 confirmed without a risk result": _CHANGED + _UNSCORED,
}

# Two ranges of two indexes; one condition over both ranges would read the whole table.
_UNFINISHED: LiteralString = """
    select id as payment_id, status, settlement_status,
           extract(epoch from now() - updated_at)::float8 as age_s
    from (select * from payment where due_at is not null and status <> 'AWAITING_CODE'
          union all
          select * from payment
          where settlement_status in ('PENDING', 'SENT', 'UNKNOWN', 'RECONCILE')) as unfinished
    where updated_at < now() - make_interval(secs => %(age_s)s)
    order by updated_at limit 100"""

# Every transaction that began before the frontier has ended, so its journals are visible.
_FRONTIER: LiteralString = """
    select least(now() - interval '10 s', min(xact_start)) as frontier from pg_stat_activity
    where usename = current_user and datname = current_database()"""


class PostgresCheck:
    """A check in one transaction."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self._tx = tx

    async def advance(self, *, anew: bool) -> None:
        """Advance the checkpoint to the oldest open transaction; `anew`: rebuild it from the start.

        Runs in its own transaction, before the transaction of the check.
        """
        if anew:
            await self._tx.use(REPORT)
            await self._tx.rows("select from ledger_frontier for update")
            await self._tx.run("delete from ledger_checkpoint")
            await self._tx.run("update ledger_frontier set posted_before = '-infinity'")
        elif not await self._tx.rows("select from ledger_frontier for update skip locked"):
            # Another check advances the checkpoint; this check sums the entries after it.
            return
        found = await self._tx.rows(_FRONTIER)
        await self._tx.run(
            """insert into ledger_checkpoint (account_id, balance_minor)
               select account_id, sum(amount_minor)
               from journal join entry on entry.journal_id = journal.id
               where posted_at >= (select posted_before from ledger_frontier)
                 and posted_at < %(frontier)s
               group by 1 order by 1
               on conflict (account_id) do update
               set balance_minor = ledger_checkpoint.balance_minor + excluded.balance_minor""",
            **found[0],
        )
        await self._tx.run(
            """update ledger_frontier set posted_before = %(frontier)s
               where posted_before < %(frontier)s""",
            **found[0],
        )

    async def findings(self, unfinished_after_s: float, since: datetime | None) -> dict[str, Any]:
        """Return violations among the changes since then (None: among all rows)."""
        await self._tx.run("set transaction isolation level repeatable read read only")
        if since is None:
            await self._tx.use(REPORT)
        # All accounts are compared, so a merge join is faster than one lookup an account.
        await self._tx.use({"enable_mergejoin": "on"})
        violations = await self._violations(since or EVERYTHING)
        unfinished = await self._tx.rows(_UNFINISHED, age_s=unfinished_after_s)
        found = Findings(violations, unfinished)
        return found._asdict() | await counts_of(self._tx, "payment")

    async def _violations(self, since: datetime) -> list[dict[str, Any]]:
        journals = json_rows(
            [{"settlement_status": name, "kinds": kinds} for name, kinds in JOURNALS.items()]
        )
        return [
            {"invariant": name.split()[0], "details": name.partition(" ")[2], **row}
            for name, statement in _CHECKS.items()
            for row in await self._tx.rows(statement, since=since, journals=journals)
        ]
