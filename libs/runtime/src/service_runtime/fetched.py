"""Reads fetched records whose headers have names that are not UTF-8.

aiokafka's parser raises on such a name. The exception comes out of the poll, at every start again,
and takes with it what other partitions had ready in the same poll.
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
    """Fetched batches; one that the parser refuses is read by a parser that takes any name."""

    def __init__(self, raw: bytes) -> None:
        self._records = MemoryRecords(raw)
        self._same = _MemoryRecordsPy(raw)
        """The same batches, read slowly; only their bounds are read where all is well."""

    def size_in_bytes(self) -> int:
        """Return the size of what was fetched."""
        return int(self._records.size_in_bytes())

    def has_next(self) -> bool:
        """Say whether a whole batch is left."""
        return bool(self._records.has_next())

    def next_batch(self) -> "_Batch":
        """Return the next batch."""
        raw = self._same._next_slice  # noqa: SLF001 - the parser itself is what is mended here
        self._same._cache_next()  # noqa: SLF001
        return _Batch(self._records.next_batch(), raw)


class _Batch:
    """One batch, as aiokafka's, but for its records."""

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
    """Reads fields one after the other."""

    def __init__(self, buffer: bytearray, at: int) -> None:
        self._buffer = buffer
        self._at = at

    def number(self) -> int:
        """Read a varint."""
        found, self._at = decode_varint(self._buffer, self._at)
        return int(found)

    def raw(self) -> bytes | None:
        """Read bytes behind their length; less than none is null."""
        length = self.number()
        if length < 0:
            return None
        start, self._at = self._at, self._at + length
        return bytes(self._buffer[start : self._at])

    def header(self) -> tuple[str, bytes | None]:
        """Read a header. What is not UTF-8 in its name is escaped: `readable` shows it."""
        name = self.raw() or b""
        return name.decode("utf-8", ESCAPED), self.raw()


def _tolerantly(raw: Any) -> list[Any]:
    """Return the records of a batch, whose checksum was right."""
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
    """Say whether a header's name was UTF-8."""
    return name.isascii() or not any("\udc80" <= character <= "\udcff" for character in name)


def readable(name: str) -> str:
    """Return a header's name as UTF-8; the bytes that were not are written out in hexadecimal."""
    return name.encode("utf-8", ESCAPED).decode("utf-8", "backslashreplace")


def install() -> None:
    """Let every consumer of this process read so: aiokafka offers no parser of one's own."""
    fetcher.MemoryRecords = TolerantRecords
