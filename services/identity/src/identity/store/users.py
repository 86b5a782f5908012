"""Users within one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from service_runtime.postgres import PostgresTransaction


@dataclass(frozen=True, slots=True)
class User:
    """A user, without personal data."""

    id: UUID
    password: str
    """The hash by argon2id, with its parameters."""
    created_at: datetime
    disabled_at: datetime | None


_USER = "select id, password, created_at, disabled_at from app_user"


class Users:
    """Users within one transaction."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self._tx = tx

    async def add(self, user: User) -> None:
        """Add a user."""
        await self._tx.run(
            """insert into app_user (id, password, created_at)
               values (%(id)s, %(password)s, %(at)s)""",
            id=user.id,
            password=user.password,
            at=user.created_at,
        )

    async def of_address(self, lookups: Sequence[str], clear: str) -> User | None:
        """Return the user with an address, by its look-up values, or in clear where not sealed."""
        own = """ where id in (select user_id from email_address
                               where lookup = any(%(lookups)s) or address = %(clear)s)"""
        rows = await self._tx.rows(_USER + own, lookups=list(lookups), clear=clear)
        return User(**rows[0]) if rows else None

    async def found(self, user_id: UUID) -> User | None:
        """Return a user."""
        rows = await self._tx.rows(_USER + " where id = %(id)s", id=user_id)
        return User(**rows[0]) if rows else None

    async def locked(self, user_id: UUID) -> User | None:
        """Return a user whose password and state no other transaction changes meanwhile."""
        rows = await self._tx.rows(_USER + " where id = %(id)s for update", id=user_id)
        return User(**rows[0]) if rows else None

    async def set_password(self, user_id: UUID, password: str) -> None:
        """Replace the hash of a user's password."""
        await self._tx.run(
            "update app_user set password = %(password)s where id = %(id)s",
            id=user_id,
            password=password,
        )

    async def erase(self, user_id: UUID, at: datetime) -> None:
        """Disable a user for good: what stands for the hash verifies no password."""
        await self._tx.run(
            """update app_user
               set password = '$argon2id$', disabled_at = coalesce(disabled_at, %(at)s)
               where id = %(id)s""",
            id=user_id,
            at=at,
        )

    async def set_disabled(self, user_id: UUID, at: datetime | None) -> None:
        """Disable a user, or enable it with None."""
        await self._tx.run(
            "update app_user set disabled_at = %(at)s where id = %(id)s", id=user_id, at=at
        )

    async def roles(self, user_id: UUID) -> Sequence[str]:
        """Return an operator's roles; none for a customer."""
        rows = await self._tx.rows(
            "select roles from operator_roles where user_id = %(id)s", id=user_id
        )
        return list(rows[0]["roles"]) if rows else []

    async def set_roles(self, user_id: UUID, roles: Sequence[str]) -> None:
        """Replace an operator's roles, which two people have approved."""
        await self._tx.run(
            """insert into operator_roles (user_id, roles) values (%(id)s, %(roles)s)
               on conflict (user_id) do update set roles = excluded.roles""",
            id=user_id,
            roles=list(roles),
        )

    async def operators(self, after: str, limit: int) -> list[dict[str, Any]]:
        """Return operators behind an id, with their roles."""
        return await self._tx.rows(
            """select user_id, roles, disabled_at as "disabledAt"
               from operator_roles join app_user on id = user_id
               where user_id > %(after)s::uuid order by user_id limit %(limit)s""",
            after=after,
            limit=limit,
        )
