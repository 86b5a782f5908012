"""Records with header names of any bytes are read unchanged."""

import pytest
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy
from aiokafka.record.memory_records import MemoryRecords

from service_runtime.fetched import TolerantRecords, is_readable, readable


class Name(str):
    """A header name of the given bytes, which are no valid text."""

    __slots__ = ("raw",)

    def encode(self, *_how):
        return self.raw


def named(raw):
    name = Name("?" * len(raw))
    name.raw = raw
    return name


def batch(*names, compression=0, first=7):
    """The bytes of a batch: a record for each header's name."""
    builder = _DefaultRecordBatchBuilderPy(2, compression, 0, -1, -1, 0, 100_000)
    for place, name in enumerate(names):
        headers = [("ce_id", None), (named(name), b"\xfe")]
        builder.append(place, 1000 + place, key=b"k%d" % place, value=None, headers=headers)
    built = builder.build()
    built[:8] = first.to_bytes(8, "big")
    return bytes(built)


def read(raw):
    records, found = TolerantRecords(raw), []
    while records.has_next():
        one = records.next_batch()
        assert one.validate_crc()
        found += list(one)
        assert one.next_offset == found[-1].offset + 1
    return found


def fields(record):
    return record.offset, record.timestamp, record.key, record.value, list(record.headers)


@pytest.mark.parametrize("compression", [0, 1, 4])
def test_a_header_name_that_is_not_utf8_is_read_and_so_are_its_neighbours(compression):
    found = read(batch(b"first", b"\xff\xfe\x00", b"last", compression=compression))

    assert [one.offset for one in found] == [7, 8, 9]
    assert [one.timestamp for one in found] == [1000, 1001, 1002]
    assert [one.key for one in found] == [b"k0", b"k1", b"k2"]
    names = [one.headers[1][0] for one in found]
    assert [is_readable(name) for name in names] == [True, False, True]
    assert readable(names[1]) == "\\xff\\xfe\x00"
    assert [one.headers[1][1] for one in found] == [b"\xfe"] * 3


def test_valid_records_are_read_by_the_usual_parser():
    raw = batch("schön".encode(), b"b") + batch(b"c", first=9)
    records, plain = MemoryRecords(raw), []
    while records.has_next():
        plain += list(records.next_batch())

    assert [fields(one) for one in read(raw)] == [fields(one) for one in plain]
    assert all(is_readable(one.headers[1][0]) for one in plain)


def test_batches_behind_the_bad_one_are_read():
    assert [one.offset for one in read(batch(b"\xff") + batch(b"x", first=8))] == [7, 8]
