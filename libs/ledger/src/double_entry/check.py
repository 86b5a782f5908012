"""Checks the ledger's tables: recent changes, or everything.

Transfers are append-only, so their sums up to a checkpoint stay valid. A check adds only the newer
transfers and compares every account's balance. Only a full check reads old transfers again.
"""

from datetime import datetime
from typing import Any, LiteralString

from service_runtime.postgres import REPORT, PostgresTransaction

RULES: dict[str, LiteralString] = {
    "a balance differs from its transfers": """
        with recent as (
            select account_id, sum(amount_minor) as total from ledger_entry
            where posted_at >= (select posted_before from ledger_frontier) group by 1)
        select account.id as account from account
        left join ledger_checkpoint as kept on kept.account_id = account.id
        left join recent on recent.account_id = account.id
        where account.balance_minor
              <> coalesce(kept.balance_minor, 0) + coalesce(recent.total, 0) limit 20""",
    "a transfer has no account of its currency": """
        select account_id as account
        from (select distinct account_id, currency from ledger_entry
              where posted_at >= %(since)s) as one
        left join account on account.id = account_id and account.currency = one.currency
        where account.id is null limit 20""",
    "balances do not sum to zero": """
        select currency from account group by 1 having sum(balance_minor) <> 0 limit 20""",
}
"""Statements by rule; each returns rows that violate it, given `since`."""

# Every transaction that began before the frontier has ended, so its transfers are visible.
_FRONTIER: LiteralString = """
    select least(now() - interval '10 s', min(xact_start)) as frontier from pg_stat_activity
    where usename = current_user and datname = current_database()"""

_ADVANCE: LiteralString = """
    insert into ledger_checkpoint (account_id, balance_minor)
    select account_id, sum(amount_minor) from ledger_entry
    where posted_at >= (select posted_before from ledger_frontier) and posted_at < %(frontier)s
    group by 1 order by 1
    on conflict (account_id) do update
    set balance_minor = ledger_checkpoint.balance_minor + excluded.balance_minor"""


class LedgerCheck:
    """A check in one transaction, which should have its own snapshot of the tables."""

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
            # Another check advances the checkpoint; this check sums the transfers after it.
            return
        found = await self._tx.rows(_FRONTIER)
        await self._tx.run(_ADVANCE, **found[0])
        await self._tx.run(
            """update ledger_frontier set posted_before = %(frontier)s
               where posted_before < %(frontier)s""",
            **found[0],
        )

    async def violations(self, since: datetime) -> list[dict[str, Any]]:
        """Return the violated rules, with the account, source or currency."""
        # All accounts are compared, so a merge join is faster than one lookup an account.
        await self._tx.use({"enable_mergejoin": "on"})
        return [
            {"details": rule, **row}
            for rule, statement in RULES.items()
            for row in await self._tx.rows(statement, since=since)
        ]
