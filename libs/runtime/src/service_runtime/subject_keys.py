"""A key for each subject: personal data is encrypted under it, and erasure destroys it.

The keys are in a store of their own, beside the database and outside of its backups: a database
that is restored from before an erasure holds ciphertext that nothing opens. The store keeps each
key wrapped by a provider, so that a copy of the store alone opens nothing either.
"""

import asyncio
import base64
import binascii
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import (
    InvalidUnwrap,
    aes_key_unwrap,
    aes_key_wrap,
)

from service_runtime.errors import Unavailable
from service_runtime.keys import KEY_BYTES, KeyRing
from service_runtime.object_store import FolderStore, ObjectStore

NONCE_BYTES = 12
"""96 random bits. Source: NIST SP 800-38D, 8.2.2: at most 2^32 values under one key."""
MOST_BYTES = 1024
_DESTROYED = b"destroyed"


class ErasedError(Exception):
    """The subject was erased: its key was destroyed, and nothing of it can be read any more."""


class KeyLostError(Unavailable):
    """A key is missing, damaged or wrapped by an unknown key, and it was not destroyed."""

    reason = "subject_key_lost"


class KeyProvider(Protocol):
    """Wraps the keys of subjects under a key that it may never hand out."""

    def wrap(self, key: bytes) -> bytes:
        """Return a key wrapped."""
        ...

    def unwrap(self, wrapped: bytes) -> bytes:
        """Return the key again; raise KeyLostError where it was wrapped under another key."""
        ...

    def is_current(self, wrapped: bytes) -> bool:
        """Return whether it was wrapped under the key that wraps now."""
        ...


@dataclass(frozen=True, slots=True)
class RingProvider:
    """Wraps with the first key of a ring, unwraps with each (AES key wrap, RFC 3394)."""

    ring: KeyRing

    def wrap(self, key: bytes) -> bytes:
        current = self.ring.current
        wrapped = base64.b64encode(aes_key_wrap(current.material, key))
        return current.id.encode() + b"." + wrapped

    def unwrap(self, wrapped: bytes) -> bytes:
        key_id, _, text = wrapped.partition(b".")
        key = self.ring.find(key_id.decode("ascii", "replace"))
        if key is None:
            raise KeyLostError("subject key: wrapped under an unknown key")
        try:
            return aes_key_unwrap(key.material, base64.b64decode(text, validate=True))
        except (InvalidUnwrap, ValueError, binascii.Error):
            raise KeyLostError("subject key: damaged") from None

    def is_current(self, wrapped: bytes) -> bool:
        return wrapped.partition(b".")[0] == self.ring.current.id.encode()


@dataclass(frozen=True, slots=True)
class SubjectKey:
    """The key of one subject: AES-256-GCM, with a random nonce for each value."""

    material: bytes = field(repr=False)

    def seal(self, plain: bytes, context: str) -> bytes:
        """Return a value encrypted; `context` names its place, and opens it nowhere else."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + AESGCM(self.material).encrypt(nonce, plain, context.encode())

    def open(self, sealed: bytes, context: str) -> bytes:
        """Return the value; raise KeyLostError where it was changed, moved or is another's."""
        nonce, text = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        try:
            return AESGCM(self.material).decrypt(nonce, text, context.encode())
        except (InvalidTag, ValueError):
            raise KeyLostError("personal data: cannot be opened") from None


Readable = SubjectKey | ErasedError | KeyLostError
"""A key, or why there is none."""


@dataclass(frozen=True, slots=True)
class SubjectKeys:
    """The keys of subjects in their store. Nothing is cached: a destroyed key opens nothing."""

    store: ObjectStore
    provider: KeyProvider

    async def create(self, key_id: UUID) -> SubjectKey:
        """Make a key. It is stored before the transaction that names it: no name is without one."""
        material = os.urandom(KEY_BYTES)
        await self._put(key_id, self.provider.wrap(material))
        return SubjectKey(material)

    async def find(self, key_id: UUID) -> SubjectKey:
        """Return a key; raise ErasedError where it was destroyed, KeyLostError without one."""
        return self._key_in(await self._content(key_id))

    async def find_all(self, key_ids: Sequence[UUID]) -> list[Readable]:
        """Return each key, or the error that says why there is none. One thread reads a folder."""
        if not isinstance(self.store, FolderStore):
            return await asyncio.gather(*map(self._readable, key_ids))
        contents = await self.store.read_small([str(one) for one in key_ids], MOST_BYTES)
        return [self._readable_in(content) for content in contents]

    async def is_destroyed(self, key_id: UUID) -> bool:
        """Return whether a key was destroyed; raise KeyLostError where there is neither."""
        return await self._content(key_id) == _DESTROYED

    async def needs_wrapping(self, key_id: UUID) -> bool:
        """Return whether a key is wrapped under an older one, which is to be retired."""
        content = await self._content(key_id)
        return content != _DESTROYED and not self.provider.is_current(content)

    async def wrap_again(self, key_id: UUID) -> None:
        """Wrap a key under the current one. Nobody may destroy it meanwhile: it would be back."""
        key = await self.find(key_id)
        await self._put(key_id, self.provider.wrap(key.material))

    async def destroy(self, key_id: UUID) -> None:
        """Replace a key by a mark: an erasure is no loss. May be repeated."""
        await self._put(key_id, _DESTROYED)

    async def _readable(self, key_id: UUID) -> Readable:
        try:
            return await self.find(key_id)
        except (ErasedError, KeyLostError) as error:
            return error

    def _readable_in(self, content: bytes | None) -> Readable:
        try:
            return self._key_in(content)
        except (ErasedError, KeyLostError) as error:
            return error

    def _key_in(self, content: bytes | None) -> SubjectKey:
        if content is None:
            raise KeyLostError("subject key: missing")
        if content == _DESTROYED:
            raise ErasedError
        return SubjectKey(self.provider.unwrap(content))

    async def _put(self, key_id: UUID, content: bytes) -> None:
        await self.store.put(str(key_id), chunks_of(content))

    async def _content(self, key_id: UUID) -> bytes:
        try:
            return b"".join([part async for part in self.store.read(str(key_id), 0, MOST_BYTES)])
        except FileNotFoundError:
            raise KeyLostError("subject key: missing") from None


async def chunks_of(content: bytes) -> AsyncIterator[bytes]:
    """Yield a content as an object store takes it."""
    yield content
