"""Object stores: named files of any size, written whole or not at all; and one in a folder."""

import asyncio
import hashlib
import os
import re
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

CHUNK_BYTES = 256 * 1024
MAX_NAME_CHARACTERS = 512
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(?:/[A-Za-z0-9_][A-Za-z0-9._-]*)*")


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What was written."""

    name: str
    size: int
    sha256: str


class WrongChecksumError(ValueError):
    """The chunks do not have the SHA-256 that was expected."""


class ObjectStore(Protocol):
    """Where files are kept. A name is one to many parts of letters, digits and `. _ -`."""

    async def put(
        self, name: str, chunks: AsyncIterator[bytes], sha256: str | None = None
    ) -> StoredObject:
        """Write an object, replacing an older one; if the chunks raise, nothing is written.

        Raises WrongChecksumError, and writes nothing, where they do not have this SHA-256 (hex).
        """
        ...

    def read(self, name: str, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        """Yield an object's bytes from `start` to before `stop`; raise FileNotFoundError."""
        ...

    async def size(self, name: str) -> int | None:
        """Return an object's size, None where there is none."""
        ...

    async def delete(self, name: str) -> None:
        """Delete an object, if there is one."""
        ...

    async def next_name(self, after: str) -> str | None:
        """Return the first name behind `after`, in the order of their bytes; None at the end."""
        ...


class FolderStore:
    """Objects as files of a folder; the disk is read and written in threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(
        self, name: str, chunks: AsyncIterator[bytes], sha256: str | None = None
    ) -> StoredObject:
        path = self._path(name)
        await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".draft-", delete=False) as draft:
            try:
                stored = await spool(name, chunks, draft, sha256)
                await asyncio.to_thread(_publish, draft, path)
            except BaseException:
                await asyncio.to_thread(Path(draft.name).unlink, missing_ok=True)
                raise
        return stored

    async def read(
        self, name: str, start: int = 0, stop: int | None = None
    ) -> AsyncIterator[bytes]:
        with await asyncio.to_thread(self._path(name).open, "rb") as file:
            file.seek(start)
            left = float("inf") if stop is None else stop - start
            while left > 0:
                chunk = await asyncio.to_thread(file.read, int(min(CHUNK_BYTES, left)))
                if not chunk:
                    return
                left -= len(chunk)
                yield chunk

    async def read_small(self, names: Sequence[str], most_bytes: int) -> list[bytes | None]:
        """Return the beginnings of objects, None for one that is missing; in one thread for all."""
        return await asyncio.to_thread(lambda: [self._small(name, most_bytes) for name in names])

    def _small(self, name: str, most_bytes: int) -> bytes | None:
        with suppress(FileNotFoundError), self._path(name).open("rb", buffering=0) as file:
            return file.read(most_bytes)
        return None

    async def size(self, name: str) -> int | None:
        with suppress(FileNotFoundError):
            return (await asyncio.to_thread(self._path(name).stat)).st_size
        return None

    async def delete(self, name: str) -> None:
        await asyncio.to_thread(self._path(name).unlink, missing_ok=True)

    async def next_name(self, after: str) -> str | None:
        return min(
            (name for name in await asyncio.to_thread(self._names) if name > after), default=None
        )

    def _names(self) -> list[str]:
        """Return every name; drafts and other files that are no objects are left out."""
        files = (path for path in self._folder.rglob("*") if path.is_file())
        names = (path.relative_to(self._folder).as_posix() for path in files)
        return [name for name in names if _NAME.fullmatch(name)]

    def _path(self, name: str) -> Path:
        return self._folder / checked_name(name)


def checked_name(name: str) -> str:
    """Return an object's name; raise ValueError for one that could leave the store."""
    if len(name) > MAX_NAME_CHARACTERS or not _NAME.fullmatch(name):
        raise ValueError("an object's name is parts of A-Z a-z 0-9 . _ - with / between them")
    return name


async def spool(
    name: str, chunks: AsyncIterator[bytes], file: IO[bytes], sha256: str | None
) -> StoredObject:
    """Write chunks to a file; raise WrongChecksumError where they have another SHA-256."""
    size, digest = 0, hashlib.sha256()
    async for chunk in chunks:
        size += len(chunk)
        digest.update(chunk)
        await asyncio.to_thread(file.write, chunk)
    if sha256 not in (None, digest.hexdigest()):
        raise WrongChecksumError(name)
    return StoredObject(name, size, digest.hexdigest())


def _publish(draft: IO[bytes], path: Path) -> None:
    """Make a written draft the object: on disk first, so that a crash leaves all or nothing."""
    draft.flush()
    os.fsync(draft.fileno())
    Path(draft.name).replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
