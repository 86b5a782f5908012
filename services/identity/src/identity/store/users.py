"""Users and their e-mail addresses within one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from payment_schemas.sealed import Personal
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

    async def add(self, user: User, email: Personal) -> None:
        """Add a user; a taken address is a Conflict of the constraint `email_address_pkey`."""
        await self._tx.run(
            """insert into app_user (id, password, created_at)
               values (%(id)s, %(password)s, %(at)s)""",
            id=user.id,
            password=user.password,
            at=user.created_at,
        )
        await self._tx.run(
            "insert into email_address (address, user_id) values (%(address)s, %(id)s)",
            address=email.reveal(),
            id=user.id,
        )

    async def by_email(self, email: Personal) -> User | None:
        """Return the user with an address."""
        own = " where id = (select user_id from email_address where address = %(address)s)"
        rows = await self._tx.rows(_USER + own, address=email.reveal())
        return User(**rows[0]) if rows else None

    async def found(self, user_id: UUID) -> User | None:
        """Return a user."""
        rows = await self._tx.rows(_USER + " where id = %(id)s", id=user_id)
        return User(**rows[0]) if rows else None

    async def locked(self, user_id: UUID) -> User | None:
        """Return a user whose password and state no other transaction changes meanwhile."""
        rows = await self._tx.rows(_USER + " where id = %(id)s for update", id=user_id)
        return User(**rows[0]) if rows else None

    async def email(self, user_id: UUID) -> Personal | None:
        """Return a user's address."""
        rows = await self._tx.rows(
            "select address from email_address where user_id = %(id)s", id=user_id
        )
        return Personal(rows[0]["address"]) if rows else None

    async def set_password(self, user_id: UUID, password: str) -> None:
        """Replace the hash of a user's password."""
        await self._tx.run(
            "update app_user set password = %(password)s where id = %(id)s",
            id=user_id,
            password=password,
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
