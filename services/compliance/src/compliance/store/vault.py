"""Personal data within a transaction: sealed under its subject's key, or not written at all."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from compliance.store.subjects import Subject, Subjects
from service_runtime.clock import Clock
from service_runtime.object_store import ObjectStore
from service_runtime.postgres import PostgresTransaction
from service_runtime.subject_keys import ErasedError, SubjectKey, SubjectKeys, chunks_of


@dataclass(frozen=True, slots=True)
class Vault:
    """The keys of subjects, and their documents."""

    keys: SubjectKeys
    documents: ObjectStore
    clock: Clock

    async def key_for(self, tx: PostgresTransaction, user_id: str) -> SubjectKey:
        """Return a user's key to write with; the first time, it is made.

        Raises ErasedError: who was erased begins again under another user.
        """
        await self.ensure_subject(tx, user_id)
        return await self.key_of(await Subjects(tx).found(user_id))

    async def ensure_subject(self, tx: PostgresTransaction, user_id: str) -> None:
        """Add a user who is unknown here, with a key: other services may have data of the user."""
        if await Subjects(tx).found(user_id) is None:
            key_id = self.clock.new_id()
            await self.keys.create(key_id)
            await Subjects(tx).add(user_id, key_id)

    async def key_of(self, subject: Subject | None) -> SubjectKey:
        """Return the key of a subject; raise ErasedError for one without personal data."""
        if subject is None or subject.is_erased:
            raise ErasedError
        return await self.keys.find(subject.key_id)

    async def put_document(self, key: SubjectKey, document_id: UUID, content: bytes) -> None:
        """Store a document, sealed."""
        sealed = key.seal(content, f"kyc_object/{document_id}")
        await self.documents.put(str(document_id), chunks_of(sealed))

    async def delete(self, document_ids: Sequence[UUID]) -> None:
        """Delete documents; those that are gone are no error."""
        for document_id in document_ids:
            await self.documents.delete(str(document_id))

    async def release(
        self, tx: PostgresTransaction, document_ids: Sequence[UUID]
    ) -> Sequence[UUID]:
        """Delete documents that are too old, and return them; not those of a person under a hold.

        A hold that is set meanwhile waits for the end of the transaction.
        """
        rows = await tx.rows(
            """select kyc_document.id from kyc_document join subject using (user_id)
               where kyc_document.id = any(%(ids)s) and held_at is null
               for share of subject""",
            ids=list(document_ids),
        )
        found = [row["id"] for row in rows]
        await self.delete(found)
        return found

    async def document(self, key: SubjectKey, document_id: UUID) -> bytes:
        """Return a document; raise ErasedError where it was deleted."""
        try:
            parts = [part async for part in self.documents.read(str(document_id))]
        except FileNotFoundError:
            raise ErasedError from None
        return key.open(b"".join(parts), f"kyc_object/{document_id}")


def sealed_json(key: SubjectKey, value: Any, context: str) -> bytes:
    """Return a value as JSON, sealed for its place."""
    return key.seal(orjson.dumps(value), context)


def opened_json(key: SubjectKey, sealed: bytes, context: str) -> Any:
    """Return the value again; raise KeyLostError where it is another's."""
    return orjson.loads(key.open(sealed, context))
