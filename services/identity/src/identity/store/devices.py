"""Device codes within one transaction."""

from datetime import datetime
from uuid import UUID

from identity.domain.devices import Device
from identity.domain.families import hash_of
from payment_schemas.sealed import Personal
from service_runtime.postgres import PostgresTransaction

_COLUMNS = """user_code, client_id, scopes, interval_s, expires_at, session_id, polled_at,
    decided_at, user_id, used_at"""
"""Constant: no value of a request is part of a statement."""


class Devices:
    """Devices that wait for a person, within one transaction."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self._tx = tx

    async def add(self, code: Personal, device: Device) -> None:
        """Add a device under its code."""
        await self._tx.run(
            """insert into device_code (hash, user_code, client_id, scopes, interval_s, expires_at,
                   session_id)
               values (%(hash)s, %(user_code)s, %(client)s, %(scopes)s, %(interval_s)s,
                   %(expires)s, %(session)s)""",
            hash=hash_of(code),
            user_code=device.user_code,
            client=device.client_id,
            scopes=list(device.scopes),
            interval_s=device.interval_s,
            expires=device.expires_at,
            session=device.session_id,
        )

    async def locked(self, code: Personal) -> Device | None:
        """Return the device of a code, which no other transaction changes meanwhile."""
        rows = await self._tx.rows(
            f"select {_COLUMNS} from device_code where hash = %(hash)s for update",  # noqa: S608
            hash=hash_of(code),
        )
        return Device(**rows[0]) if rows else None

    async def waiting(self, user_code: str, now: datetime) -> Device | None:
        """Return the device that waits under the code of a person, locked."""
        rows = await self._tx.rows(
            f"""select {_COLUMNS} from device_code
                where user_code = %(code)s and decided_at is null and expires_at > %(now)s
                for update""",  # noqa: S608
            code=user_code,
            now=now,
        )
        return Device(**rows[0]) if rows else None

    async def decide(self, user_code: str, user_id: UUID | None, now: datetime) -> None:
        """Approve a device for a user, or deny it with None."""
        await self._tx.run(
            """update device_code set decided_at = %(now)s, user_id = %(user)s
               where user_code = %(code)s""",
            code=user_code,
            user=user_id,
            now=now,
        )

    async def polled(self, code: Personal, interval_s: int, now: datetime) -> None:
        """Note a poll, and the interval from now on."""
        await self._tx.run(
            """update device_code set polled_at = %(now)s, interval_s = %(interval_s)s
               where hash = %(hash)s""",
            hash=hash_of(code),
            interval_s=interval_s,
            now=now,
        )

    async def use(self, code: Personal, now: datetime) -> None:
        """Mark a device's code as used."""
        await self._tx.run(
            "update device_code set used_at = %(now)s where hash = %(hash)s",
            hash=hash_of(code),
            now=now,
        )

    async def void(self, user_id: UUID, now: datetime) -> None:
        """Use up what a user has approved and nobody has redeemed yet."""
        await self._tx.run(
            """update device_code set used_at = %(now)s
               where user_id = %(user)s and used_at is null""",
            user=user_id,
            now=now,
        )
