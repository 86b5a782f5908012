"""Sessions and their refresh tokens within one transaction."""

from datetime import datetime
from typing import Any
from uuid import UUID

from identity.domain.families import Presented, Session, hash_of, successor_of
from payment_schemas.sealed import Personal
from service_runtime.postgres import PostgresTransaction


class Sessions:
    """Sessions within one transaction."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self._tx = tx

    async def open(self, session: Session, token: Personal, device: str, now: datetime) -> None:
        """Add a session with its first refresh token."""
        await self._tx.run(
            """insert into session
                   (id, user_id, kind, client_id, scopes, device, created_at, used_at, idle_at,
                    expires_at)
               values (%(id)s, %(user)s, %(kind)s, %(client)s, %(scopes)s, %(device)s, %(now)s,
                   %(now)s, %(idle)s, %(expires)s)""",
            id=session.id,
            user=session.user_id,
            kind=session.kind,
            client=session.client_id,
            scopes=session.scopes,
            device=device,
            now=now,
            idle=session.idle_at,
            expires=session.expires_at,
        )
        await self._issue(session.id, token, now)

    async def presented(self, token: Personal) -> tuple[Session, Presented] | None:
        """Return a token with its session, locked; None for an unknown token."""
        rows = await self._tx.rows(
            """select session.id, user_id, kind, client_id, scopes, idle_at, expires_at,
                   ended_at, token.used_at, token.nonce
               from refresh_token token join session on session.id = token.session_id
               where token.hash = %(hash)s for update""",
            hash=hash_of(token),
        )
        if not rows:
            return None
        used_at, nonce = rows[0].pop("used_at"), rows[0].pop("nonce")
        used = used_at is not None and await self._is_used(successor_of(token, nonce))
        return Session(**rows[0]), Presented(used_at, nonce or "", used)

    async def _is_used(self, token: Personal) -> bool:
        rows = await self._tx.rows(
            "select used_at from refresh_token where hash = %(hash)s", hash=hash_of(token)
        )
        return not rows or rows[0]["used_at"] is not None

    async def rotate(
        self, session: Session, token: Personal, nonce: str, now: datetime
    ) -> Personal:
        """Mark a token as used; return its successor, which is stored as a hash."""
        await self._tx.run(
            """update refresh_token set used_at = %(now)s, nonce = %(nonce)s
               where hash = %(hash)s""",
            hash=hash_of(token),
            nonce=nonce,
            now=now,
        )
        successor = successor_of(token, nonce)
        await self._issue(session.id, successor, now)
        await self._tx.run(
            "update session set used_at = %(now)s, idle_at = %(idle)s where id = %(id)s",
            id=session.id,
            now=now,
            idle=session.idle_at,
        )
        return successor

    async def _issue(self, session_id: UUID, token: Personal, now: datetime) -> None:
        await self._tx.run(
            """insert into refresh_token (hash, session_id, issued_at)
               values (%(hash)s, %(session)s, %(now)s)""",
            hash=hash_of(token),
            session=session_id,
            now=now,
        )

    async def end(self, session_id: UUID, now: datetime, by: str) -> bool:
        """End a session; return whether it had not ended yet."""
        rows = await self._tx.rows(
            """update session set ended_at = %(now)s, ended_by = %(by)s
               where id = %(id)s and ended_at is null returning id""",
            id=session_id,
            now=now,
            by=by,
        )
        return bool(rows)

    async def end_all(self, user_id: UUID, now: datetime, by: str, keep: int = 0) -> int:
        """End a user's sessions but the `keep` newest ones; return how many there were."""
        rows = await self._tx.rows(
            """update session set ended_at = %(now)s, ended_by = %(by)s
               where ended_at is null and id = any(array(
                   select id from session
                   where user_id = %(user)s and ended_at is null and expires_at > %(now)s
                   order by created_at desc, id offset %(keep)s)) returning id""",
            user=user_id,
            now=now,
            by=by,
            keep=keep,
        )
        return len(rows)

    async def open_of(self, user_id: UUID, now: datetime) -> list[dict[str, Any]]:
        """Return a user's sessions that go on, newest first, as their owner sees them."""
        return await self._tx.rows(
            """select id, kind, device, created_at as "createdAt", used_at as "lastUsedAt",
                   least(idle_at, expires_at) as "endsAt"
               from session where user_id = %(user)s and ended_at is null
                   and expires_at > %(now)s and idle_at > %(now)s
               order by created_at desc, id""",
            user=user_id,
            now=now,
        )

    async def owner_of(self, session_id: UUID) -> UUID | None:
        """Return the user of a session."""
        rows = await self._tx.rows("select user_id from session where id = %(id)s", id=session_id)
        return UUID(str(rows[0]["user_id"])) if rows else None
