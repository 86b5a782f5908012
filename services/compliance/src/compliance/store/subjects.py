"""Subjects: who has a key, who is held, who was erased."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from service_runtime.postgres import PostgresTransaction

MOST_LISTED = 1000


@dataclass(frozen=True, slots=True)
class Subject:
    """A person of whom there is personal data, or was."""

    user_id: str
    key_id: UUID
    created_at: datetime
    held_at: datetime | None
    held_by: str | None
    hold_reason: str | None
    erased_at: datetime | None
    destroyed_at: datetime | None

    @property
    def is_erased(self) -> bool:
        """Whether nothing of the subject may be read or written any more."""
        return self.erased_at is not None or self.destroyed_at is not None


_SUBJECT = """select user_id, key_id, created_at, held_at, held_by, hold_reason, erased_at,
                     destroyed_at from subject"""


class Subjects:
    """Subjects within one transaction."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self._tx = tx

    async def found(self, user_id: str) -> Subject | None:
        """Return a subject, whom no other transaction erases meanwhile."""
        rows = await self._tx.rows(_SUBJECT + " where user_id = %(id)s for share", id=user_id)
        return Subject(**rows[0]) if rows else None

    async def locked(self, user_id: str) -> Subject | None:
        """Return a subject to change: nobody writes personal data of it meanwhile."""
        rows = await self._tx.rows(_SUBJECT + " where user_id = %(id)s for update", id=user_id)
        return Subject(**rows[0]) if rows else None

    async def add(self, user_id: str, key_id: UUID) -> None:
        """Add a subject; of two at once the first one's key counts."""
        await self._tx.run(
            """insert into subject (user_id, key_id) values (%(user_id)s, %(key_id)s)
               on conflict (user_id) do nothing""",
            user_id=user_id,
            key_id=key_id,
        )

    async def hold(self, user_id: str, by: str, reason: str, at: datetime) -> None:
        """Hold a subject: it is not erased. A Conflict where it is erased already."""
        await self._tx.run(
            """update subject set held_at = %(at)s, held_by = %(by)s, hold_reason = %(reason)s
               where user_id = %(user_id)s""",
            user_id=user_id,
            by=by,
            reason=reason,
            at=at,
        )

    async def release(self, user_id: str) -> None:
        """End a hold."""
        await self._tx.run(
            """update subject set held_at = null, held_by = null, hold_reason = null
               where user_id = %(user_id)s""",
            user_id=user_id,
        )

    async def erase(self, user_id: str, at: datetime) -> None:
        """Mark a subject as erased, which two people have approved."""
        await self._tx.run(
            "update subject set erased_at = %(at)s where user_id = %(user_id)s",
            user_id=user_id,
            at=at,
        )

    async def to_destroy(self, limit: int) -> list[Subject]:
        """Return erased subjects whose keys may still be there, the first one first."""
        rows = await self._tx.rows(
            _SUBJECT
            + """ where erased_at is not null and destroyed_at is null
                  order by erased_at limit %(limit)s""",
            limit=limit,
        )
        return [Subject(**row) for row in rows]

    async def readable(self, after: str, limit: int) -> list[Subject]:
        """Return subjects behind a user that are not erased, as far as this database knows."""
        rows = await self._tx.rows(
            _SUBJECT
            + """ where user_id > %(after)s and erased_at is null and destroyed_at is null
                  order by user_id limit %(limit)s""",
            after=after,
            limit=limit,
        )
        return [Subject(**row) for row in rows]

    async def destroyed(self, user_id: str, at: datetime) -> None:
        """Note that the key is gone, and remove what it had sealed."""
        await self._tx.run(
            """update kyc_profile set sealed = null, verified_sealed = null
               where user_id = %(user_id)s""",
            user_id=user_id,
        )
        for table in ("kyc_document", "kyc_check"):
            await self._tx.run(
                f"delete from {table} where user_id = %(user_id)s",  # noqa: S608 - named above
                user_id=user_id,
            )
        await self._tx.run(
            """update subject set destroyed_at = coalesce(destroyed_at, %(at)s)
               where user_id = %(user_id)s""",
            user_id=user_id,
            at=at,
        )
