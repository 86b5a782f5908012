"""Reading of fetched records whose header names are not UTF-8.

aiokafka's parser raises on such a name. The poll then fails, again after each restart, and the
records of other partitions in the same poll are lost to it.
"""

from collections.abc import Iterator
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import _DefaultRecordBatchPy, _DefaultRecordPy
from aiokafka.record.memory_records import MemoryRecords, _MemoryRecordsPy
from aiokafka.record.util import decode_varint

ESCAPED = "surrogateescape"


class TolerantRecords:
    """Fetched batches; a batch that aiokafka's parser refuses is read by a tolerant one."""

    def __init__(self, raw: bytes) -> None:
        self._records = MemoryRecords(raw)
        self._same = _MemoryRecordsPy(raw)
        """The same batches for the tolerant parser; usually it reads only their bounds."""

    def size_in_bytes(self) -> int:
        """Return the size of the fetched bytes."""
        return int(self._records.size_in_bytes())

    def has_next(self) -> bool:
        """Return whether a whole batch is left."""
        return bool(self._records.has_next())

    def next_batch(self) -> "_Batch":
        """Return the next batch."""
        raw = self._same._next_slice  # noqa: SLF001 - the parser itself is what is mended here
        self._same._cache_next()  # noqa: SLF001
        return _Batch(self._records.next_batch(), raw)


class _Batch:
    """One batch of aiokafka's, with a tolerant iterator over its records."""

    def __init__(self, batch: Any, raw: Any) -> None:
        self._batch = batch
        self._raw = raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[Any]:
        try:
            return iter(list(self._batch))
        except (UnicodeDecodeError, CorruptRecordException):
            return iter(_tolerantly(self._raw))


class _Reader:
    """Reads the fields of a batch in order."""

    def __init__(self, buffer: bytearray, at: int) -> None:
        self._buffer = buffer
        self._at = at

    def number(self) -> int:
        """Read a varint."""
        found, self._at = decode_varint(self._buffer, self._at)
        return int(found)

    def raw(self) -> bytes | None:
        """Read bytes with their length in front; a negative length is null."""
        length = self.number()
        if length < 0:
            return None
        start, self._at = self._at, self._at + length
        return bytes(self._buffer[start : self._at])

    def header(self) -> tuple[str, bytes | None]:
        """Read a header. Bytes of its name that are not UTF-8 are escaped (see `readable`)."""
        name = self.raw() or b""
        return name.decode("utf-8", ESCAPED), self.raw()


def _tolerantly(raw: Any) -> list[Any]:
    """Return the records of a batch whose checksum is valid."""
    batch = _DefaultRecordBatchPy(raw)
    batch._maybe_uncompress()  # noqa: SLF001
    reader = _Reader(batch._buffer, batch._pos)  # noqa: SLF001
    return [_record(batch, reader) for _ in range(batch._num_records)]  # noqa: SLF001


def _record(batch: Any, reader: _Reader) -> Any:
    _length, _attributes, delta_ms, delta = (reader.number() for _ in range(4))
    appended = batch.timestamp_type == batch.LOG_APPEND_TIME
    timestamp_ms = batch.max_timestamp if appended else batch.first_timestamp + delta_ms
    key, value = reader.raw(), reader.raw()
    headers = [reader.header() for _ in range(reader.number())]
    offset = batch.base_offset + delta
    return _DefaultRecordPy(offset, timestamp_ms, batch.timestamp_type, key, value, headers)


def is_readable(name: str) -> bool:
    """Return whether a header's name was UTF-8."""
    return name.isascii() or not any("\udc80" <= character <= "\udcff" for character in name)


def readable(name: str) -> str:
    """Return a header's name as UTF-8; bytes that were not are written in hexadecimal."""
    return name.encode("utf-8", ESCAPED).decode("utf-8", "backslashreplace")


def install() -> None:
    """Replace the parser in every consumer of this process: aiokafka has no option for it."""
    fetcher.MemoryRecords = TolerantRecords
