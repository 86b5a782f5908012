"""The store of checkpoints, which belongs to another principal than the database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from payment_schemas.checkpoints import (
    Checkpoint,
    checkpoint_name,
    key_name,
    leaves_name,
)
from service_runtime.keys import KeyRing
from service_runtime.object_store import ObjectStore
from service_runtime.sealing import public_keys, sign

WITHIN_S = 30.0
"""A store that takes longer for one object is away: the next run tries again."""


class Archive:
    """Writes signed checkpoints, and the leaves that they seal."""

    def __init__(self, store: ObjectStore, keys: KeyRing) -> None:
        self._store = store
        self._keys = keys
        self._published: set[str] = set()

    async def read(self, number: int) -> tuple[Checkpoint, str] | None:
        """Return a checkpoint and the line that is signed; None where it was not written."""
        found = bytearray()
        async with asyncio.timeout(WITHIN_S):
            with suppress(FileNotFoundError):
                async for chunk in self._store.read(checkpoint_name(number)):
                    found += chunk
        if not found:
            return None
        text = found.decode().partition("\n")[0]
        return Checkpoint.read(text), text

    async def write(self, checkpoint: Checkpoint, leaves: bytes) -> str:
        """Write a checkpoint behind its leaves and its key; return the line that is signed."""
        await self._publish_key()
        if leaves:
            await self._put(leaves_name(checkpoint.number), leaves)
        text = checkpoint.text()
        signed = f"{text}\n{sign(self._keys, text.encode())}\n"
        await self._put(checkpoint_name(checkpoint.number), signed.encode())
        return text

    async def _publish_key(self) -> None:
        """Keep the public key for as long as its signatures: a ring forgets a retired key."""
        key_id, public = next(iter(public_keys(self._keys).items()))
        if key_id not in self._published:
            await self._put(key_name(key_id), public.hex().encode())
            self._published.add(key_id)

    async def _put(self, name: str, content: bytes) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            yield content

        async with asyncio.timeout(WITHIN_S):
            await self._store.put(name, chunks())
