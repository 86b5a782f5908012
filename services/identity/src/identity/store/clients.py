"""Clients within one transaction."""

from dataclasses import asdict
from datetime import datetime

from identity.domain.applications import Client
from service_runtime.postgres import PostgresTransaction

_COLUMNS = "id, name, kind, scopes, grants, redirect_uris, sign_out_uris"
"""Constant: no value of a request is part of a statement."""


class Clients:
    """Clients within one transaction."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self._tx = tx

    async def found(self, client_id: str) -> Client | None:
        """Return a client that is not disabled."""
        rows = await self._tx.rows(
            f"select {_COLUMNS}, secrets from client where id = %(id)s and disabled_at is null",  # noqa: S608
            id=client_id,
        )
        return Client(**rows[0]) if rows else None

    async def page(self, after: str, limit: int) -> list[dict[str, object]]:
        """Return clients behind an id, without anything of their secrets but the number."""
        return await self._tx.rows(
            f"""select {_COLUMNS}, cardinality(secrets) as secrets, changed_at as "changedAt",
                    disabled_at as "disabledAt"
                from client where id > %(after)s order by id limit %(limit)s""",  # noqa: S608
            after=after,
            limit=limit,
        )

    async def set(self, client: Client, now: datetime) -> None:
        """Add or replace a client, which two people have approved."""
        await self._tx.run(
            """insert into client (id, name, kind, scopes, secrets, grants, redirect_uris,
                   sign_out_uris, changed_at)
               values (%(id)s, %(name)s, %(kind)s, %(scopes)s, %(secrets)s, %(grants)s,
                   %(redirect_uris)s, %(sign_out_uris)s, %(now)s)
               on conflict (id) do update set name = excluded.name, kind = excluded.kind,
                   scopes = excluded.scopes, secrets = excluded.secrets, grants = excluded.grants,
                   redirect_uris = excluded.redirect_uris,
                   sign_out_uris = excluded.sign_out_uris, changed_at = excluded.changed_at""",
            now=now,
            **asdict(client),
        )

    async def set_disabled(self, client_id: str, at: datetime | None) -> bool:
        """Disable a client, or enable it with None; return whether there is one."""
        rows = await self._tx.rows(
            "update client set disabled_at = %(at)s where id = %(id)s returning id",
            id=client_id,
            at=at,
        )
        return bool(rows)
