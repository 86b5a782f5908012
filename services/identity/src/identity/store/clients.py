"""Machines that get tokens by a secret, within one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from service_runtime.postgres import PostgresTransaction


@dataclass(frozen=True, slots=True)
class Client:
    """A machine: its scopes, and the SHA-256 of each accepted secret as hex."""

    id: str
    scopes: Sequence[str]
    secrets: Sequence[str]


class Clients:
    """Clients within one transaction."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self._tx = tx

    async def found(self, client_id: str) -> Client | None:
        """Return a client that is not disabled."""
        rows = await self._tx.rows(
            """select id, scopes, secrets from client
               where id = %(id)s and disabled_at is null""",
            id=client_id,
        )
        return Client(**rows[0]) if rows else None

    async def page(self, after: str, limit: int) -> list[dict[str, object]]:
        """Return clients behind an id, without anything of their secrets but the number."""
        return await self._tx.rows(
            """select id, scopes, cardinality(secrets) as secrets, changed_at as "changedAt",
                   disabled_at as "disabledAt"
               from client where id > %(after)s order by id limit %(limit)s""",
            after=after,
            limit=limit,
        )

    async def set(self, client: Client, now: datetime) -> None:
        """Add or replace a client, which two people have approved."""
        await self._tx.run(
            """insert into client (id, scopes, secrets, changed_at)
               values (%(id)s, %(scopes)s, %(secrets)s, %(now)s)
               on conflict (id) do update set scopes = excluded.scopes,
                   secrets = excluded.secrets, changed_at = excluded.changed_at""",
            id=client.id,
            scopes=list(client.scopes),
            secrets=list(client.secrets),
            now=now,
        )

    async def set_disabled(self, client_id: str, at: datetime | None) -> bool:
        """Disable a client, or enable it with None; return whether there is one."""
        rows = await self._tx.rows(
            "update client set disabled_at = %(at)s where id = %(id)s returning id",
            id=client_id,
            at=at,
        )
        return bool(rows)
