"""Exceptions by two people."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from screening.domain.exceptions import Excepted
from service_runtime.postgres import PostgresTransaction, json_rows

Keys = frozenset[str]
"""Keys of entries, as `Entry.key`."""
_LISTED = """
    select id, account_id, list_name, entry_id, reason, last_day, proposed_by, approved_by,
           approved_at, ended_at, ended_by,
           ended_at is null and last_day >= (now() at time zone 'UTC')::date as is_active
    from screening_exception"""


class Exceptions:
    """Exceptions within one transaction."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self._tx = tx

    async def of(self, accounts: Collection[str]) -> Mapping[str, Keys]:
        """Return by account the keys of the entries that its holder is not, as of now."""
        rows = await self._tx.rows(
            """select account_id, list_name || ':' || entry_id as key from screening_exception
               where account_id in (select json_array_elements_text(%(accounts)s::json))
                 and ended_at is null and last_day >= (now() at time zone 'UTC')::date""",
            accounts=json_rows(sorted(accounts)),
        )
        found = defaultdict[str, set[str]](set)
        for row in rows:
            found[row["account_id"]].add(row["key"])
        return {account: frozenset(keys) for account, keys in found.items()}

    async def add(self, name: UUID, one: Excepted, proposed_by: str, approved_by: str) -> None:
        """Add an exception; the database refuses one that two people have not approved."""
        await self._tx.run(
            """insert into screening_exception (id, account_id, list_name, entry_id, reason,
                                                last_day, proposed_by, approved_by)
               values (%(id)s, %(account_id)s, %(list_name)s, %(entry_id)s, %(reason)s,
                       %(last_day)s, %(proposed_by)s, %(approved_by)s)""",
            id=name,
            account_id=one.account_id,
            list_name=one.list_name,
            entry_id=one.entry_id,
            reason=one.reason,
            last_day=one.last_day,
            proposed_by=proposed_by,
            approved_by=approved_by,
        )

    async def end(self, name: UUID, actor: str) -> dict[str, Any] | None:
        """End an active exception now; return it, or None where there is none."""
        rows = await self._tx.rows(
            """update screening_exception set ended_at = now(), ended_by = %(actor)s
               where id = %(id)s and ended_at is null
               returning id, account_id, list_name, entry_id, ended_at""",
            id=name,
            actor=actor,
        )
        return rows[0] if rows else None

    async def page(self, account_id: str | None, after: UUID, limit: int) -> list[dict[str, Any]]:
        """Return exceptions, ended ones too, by id; of one account where it is given."""
        return await self._tx.rows(
            _LISTED
            + """ where id > %(after)s
                    and (%(account_id)s::text is null or account_id = %(account_id)s)
                  order by id limit %(limit)s""",
            account_id=account_id,
            after=after,
            limit=limit,
        )
