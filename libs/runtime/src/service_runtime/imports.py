"""Resumable import of a large file: its lines are read in parts, as a foreign log (`cursor`)."""

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
