"""Authorization codes within one transaction."""

from datetime import datetime
from uuid import UUID

from identity.domain.authorization import IssuedCode
from identity.domain.families import hash_of
from payment_schemas.sealed import Personal
from service_runtime.postgres import PostgresTransaction


class Codes:
    """Authorization codes within one transaction. A code is stored as its hash."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self._tx = tx

    async def add(self, code: Personal, issued: IssuedCode) -> None:
        """Add a code."""
        await self._tx.run(
            """insert into authorization_code (hash, client_id, redirect_uri, challenge, scopes,
                   nonce, user_id, session_id, signed_in_at, expires_at)
               values (%(hash)s, %(client)s, %(uri)s, %(challenge)s, %(scopes)s, %(nonce)s,
                   %(user)s, %(session)s, %(at)s, %(expires)s)""",
            hash=hash_of(code),
            client=issued.client_id,
            uri=issued.redirect_uri,
            challenge=issued.challenge,
            scopes=list(issued.scopes),
            nonce=issued.nonce,
            user=issued.user_id,
            session=issued.session_id,
            at=issued.signed_in_at,
            expires=issued.expires_at,
        )

    async def locked(self, code: Personal) -> IssuedCode | None:
        """Return a code that no other transaction uses meanwhile; None for an unknown one."""
        rows = await self._tx.rows(
            """select client_id, redirect_uri, challenge, scopes, nonce, user_id, session_id,
                   signed_in_at, expires_at, used_at
               from authorization_code where hash = %(hash)s for update""",
            hash=hash_of(code),
        )
        return IssuedCode(**rows[0]) if rows else None

    async def use(self, code: Personal, now: datetime) -> None:
        """Mark a code as used."""
        await self._tx.run(
            "update authorization_code set used_at = %(now)s where hash = %(hash)s",
            hash=hash_of(code),
            now=now,
        )

    async def void(self, user_id: UUID, now: datetime) -> None:
        """Use up what a user has approved and nobody has redeemed yet."""
        await self._tx.run(
            """update authorization_code set used_at = %(now)s
               where user_id = %(user)s and used_at is null""",
            user=user_id,
            now=now,
        )
