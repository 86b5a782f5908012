"""Resumable import of large files: their lines are read in parts, as a foreign log (`cursor`)."""

from typing import NamedTuple

from service_runtime.cursor import LogPage
from service_runtime.errors import Invariant
from service_runtime.object_store import ObjectStore

PART_BYTES = 256 * 1024


class FileLines:
    """The lines of an object, for `service.watch(name, FileLines(store, name).read, handle)`.

    The position, `<bytes read>/<size of the file>`, is committed with the effect of the lines, so
    that an import continues after a crash. An object that does not exist yet is awaited.
    """

    def __init__(self, store: ObjectStore, name: str, part_bytes: int = PART_BYTES) -> None:
        self._store = store
        self._name = name
        self._part_bytes = part_bytes
        """Also the longest line; a transaction handles the lines of one part."""

    async def read(self, position: str | None) -> LogPage:
        """Return the lines (bytes, without their ends) of the next part.

        Raises Invariant where the object is not the one that the import began with, or a line is
        too long.
        """
        size = await self._store.size(self._name)
        if size is None and position is None:
            return LogPage(None)
        start, expected = map(int, (position or f"0/{size}").split("/"))
        if size != expected:
            raise Invariant(f"{self._name}: was changed during its import")
        part = await self._part(start)
        if start + len(part) < size:
            part = part[: part.rfind(b"\n") + 1]
            if not part:
                raise Invariant(f"{self._name}: the line at byte {start} is too long")
        lines = [line.removesuffix(b"\r") for line in part.removesuffix(b"\n").split(b"\n")]
        return LogPage(f"{start + len(part)}/{size}", lines if part else ())

    async def _part(self, start: int) -> bytes:
        chunks = self._store.read(self._name, start, start + self._part_bytes)
        return b"".join([chunk async for chunk in chunks])


class Line(NamedTuple):
    """A line of a file; numbers begin with 1."""

    file: str
    number: int
    content: bytes


class StoreLines:
    """The lines of every object of a store, one object after the other in the order of their names.

    For `service.watch(name, StoreLines(store).read, handle)`, as `FileLines`; entries are `Line`.
    A name that comes before one that was read is not seen, so that names should begin with a date.
    """

    def __init__(self, store: ObjectStore, part_bytes: int = PART_BYTES) -> None:
        self._store = store
        self._part_bytes = part_bytes

    async def read(self, position: str | None) -> LogPage:
        """Return the next lines of the object that is being read, else the first of the next one.

        The position is `<name>:<lines read>:<bytes read>/<size>`. An object may be deleted once it
        was read to its end.
        """
        name, count, inside = (position or "::").split(":")
        read, _, size = inside.partition("/")
        if read != size:
            return await self._part(name, int(count), inside)
        following = await self._store.next_name(name)
        if following is None:
            return LogPage(position)
        return await self._part(following, 0, None)

    async def _part(self, name: str, count: int, inside: str | None) -> LogPage:
        page = await FileLines(self._store, name, self._part_bytes).read(inside)
        if page.position is None:
            raise Invariant(f"{name}: was deleted before its import")
        lines = [Line(name, count + n, line) for n, line in enumerate(page.entries, 1)]
        return LogPage(f"{name}:{count + len(lines)}:{page.position}", lines)
