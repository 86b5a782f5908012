"""Endpoints and their sealed secrets."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from payment_schemas.sealed import Sealed
from service_runtime.postgres import PostgresTransaction
from webhooks.domain.attempts import Health
from webhooks.domain.signatures import Scheme

_SHOWN = """select id, url, description, event_types, scheme, version, is_on, off_reason, failures,
    failing_since, paused_until, last_error, created_at, updated_at,
    (select count(*) from (
        select from delivery where endpoint_id = endpoint.id and status = 'FAILED' limit 1000
     ) as failed) as failed_deliveries"""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What an owner has said of an endpoint."""

    id: UUID
    user_id: str
    url: str
    description: str
    event_types: list[str]
    scheme: Scheme
    version: int = 1


class Endpoints:
    """Endpoints within one transaction."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self._tx = tx

    async def count(self, user_id: str) -> int:
        """Count a user's endpoints; no other transaction adds one before the commit."""
        await self._tx.run(
            "select pg_advisory_xact_lock(hashtextextended(%(user_id)s, 41))", user_id=user_id
        )
        rows = await self._tx.rows(
            "select count(*) from endpoint where user_id = %(user_id)s", user_id=user_id
        )
        return int(rows[0]["count"])

    async def add(self, endpoint: Endpoint) -> None:
        """Add an endpoint; a second one with its URL is refused by the database: a Conflict."""
        await self._tx.run(
            """insert into endpoint (id, user_id, url, description, event_types, scheme)
               values (%(id)s, %(user_id)s, %(url)s, %(description)s, %(event_types)s,
                   %(scheme)s)""",
            id=endpoint.id,
            user_id=endpoint.user_id,
            url=endpoint.url,
            description=endpoint.description,
            event_types=endpoint.event_types,
            scheme=endpoint.scheme,
        )

    async def locked(self, endpoint_id: UUID, user_id: str) -> Endpoint | None:
        """Return an endpoint of that owner; no other transaction changes it meanwhile."""
        rows = await self._tx.rows(
            """select id, user_id, url, description, event_types, scheme, version from endpoint
               where id = %(id)s and user_id = %(user_id)s for no key update""",
            id=endpoint_id,
            user_id=user_id,
        )
        return Endpoint(**rows[0]) if rows else None

    async def save(self, endpoint: Endpoint) -> None:
        """Write back an endpoint that was locked; another URL ends its pause."""
        await self._tx.run(
            """update endpoint set url = %(url)s, description = %(description)s,
                   event_types = %(event_types)s, version = %(version)s, updated_at = now(),
                   paused_until = case when url = %(url)s then paused_until end
               where id = %(id)s""",
            id=endpoint.id,
            url=endpoint.url,
            description=endpoint.description,
            event_types=endpoint.event_types,
            version=endpoint.version,
        )

    async def set_health(self, endpoint_id: UUID, health: Health) -> None:
        """Switch an endpoint on or off."""
        await self._tx.run(
            """update endpoint set is_on = %(is_on)s, off_reason = %(off_reason)s,
                   failures = %(failures)s, failing_since = %(failing_since)s,
                   paused_until = %(paused_until)s, is_fast = %(is_fast)s, updated_at = now()
               where id = %(id)s""",
            id=endpoint_id,
            is_on=health.is_on,
            off_reason=health.off_reason,
            failures=health.failures,
            failing_since=health.failing_since,
            paused_until=health.paused_until,
            is_fast=health.is_fast,
        )

    async def delete(self, endpoint_id: UUID) -> None:
        """Delete an endpoint with its deliveries and secrets."""
        # No delivery is added from here on.
        await self._tx.run("select from endpoint where id = %(id)s for update", id=endpoint_id)
        await self._tx.run("delete from delivery where endpoint_id = %(id)s", id=endpoint_id)
        await self._tx.run("delete from endpoint where id = %(id)s", id=endpoint_id)

    async def found(self, endpoint_id: UUID, user_id: str) -> dict[str, Any] | None:
        """Return an endpoint as its owner sees it."""
        rows = await self._tx.rows(
            _SHOWN + " from endpoint where id = %(id)s and user_id = %(user_id)s",
            id=endpoint_id,
            user_id=user_id,
        )
        return rows[0] if rows else None

    async def page(self, user_id: str, after: Sequence[Any], limit: int) -> list[dict[str, Any]]:
        """Return endpoints of a user behind an id."""
        return await self._tx.rows(
            _SHOWN
            + """ from endpoint where user_id = %(user_id)s and id > %(after)s
                  order by id limit %(limit)s""",
            user_id=user_id,
            after=after[0],
            limit=limit,
        )

    async def add_secret(
        self, secret_id: UUID, endpoint_id: UUID, sealed: Sealed, overlap_s: float
    ) -> datetime | None:
        """Make a secret the current one; return when the one before it ends, None without one."""
        await self._tx.run(
            """delete from endpoint_secret
               where endpoint_id = %(endpoint_id)s and expires_at is not null""",
            endpoint_id=endpoint_id,
        )
        ended = await self._tx.rows(
            """update endpoint_secret set expires_at = now() + make_interval(secs => %(overlap_s)s)
               where endpoint_id = %(endpoint_id)s returning expires_at""",
            endpoint_id=endpoint_id,
            overlap_s=overlap_s,
        )
        await self._tx.run(
            """insert into endpoint_secret (id, endpoint_id, sealed)
               values (%(id)s, %(endpoint_id)s, %(sealed)s)""",
            id=secret_id,
            endpoint_id=endpoint_id,
            sealed=sealed.reveal(),
        )
        return ended[0]["expires_at"] if ended else None

    async def current_secret(self, endpoint_id: UUID) -> Sealed | None:
        """Return the sealed secret that an endpoint's owner verifies with."""
        rows = await self._tx.rows(
            """select sealed from endpoint_secret
               where endpoint_id = %(id)s and expires_at is null""",
            id=endpoint_id,
        )
        return Sealed(rows[0]["sealed"]) if rows else None

    async def sealed_under_others(self, key_id: str, limit: int) -> list[dict[str, Any]]:
        """Lock secrets that are not sealed under that key; expired ones are left to their end."""
        return await self._tx.rows(
            """select id, endpoint_id, sealed from endpoint_secret
               where not starts_with(sealed, %(prefix)s) order by id limit %(limit)s for update""",
            prefix=f"{key_id}.",
            limit=limit,
        )

    async def replace_sealed(self, secret_id: UUID, sealed: Sealed) -> None:
        """Write back a secret that is sealed anew."""
        await self._tx.run(
            "update endpoint_secret set sealed = %(sealed)s where id = %(id)s",
            id=secret_id,
            sealed=sealed.reveal(),
        )
