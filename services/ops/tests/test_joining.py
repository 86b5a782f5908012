"""Joining ordered sources."""

import json
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.check.joining import DisorderError, entries_of, merge_join

ids = st.lists(st.uuids().map(str), unique=True, max_size=30).map(sorted)


def same(name):
    return name


@given(ids, ids, ids)
def test_every_id_is_yielded_once_with_the_row_of_each_source(one, two, three):
    both = two + [name for name in one if name not in two][::2]
    sources = [one, sorted(both), three]
    joined = dict(merge_join(*((source, same) for source in sources)))
    expected = {
        name: tuple(name if name in source else None for source in sources)
        for name in sorted({*one, *both, *three})
    }
    assert joined == expected
    assert list(joined) == sorted(joined)


def test_joining_reads_the_sources_lazily():
    read = []

    def endless():
        for number in range(10**9):
            read.append(number)
            yield f"{number:012}"

    joined = merge_join((endless(), same), (endless(), same))
    assert len(list(islice(joined, 3))) == 3
    assert len(read) <= 10


@pytest.mark.parametrize("rows", [["b", "a"], ["a", "a"]], ids=["backwards", "twice"])
def test_a_source_out_of_order_is_an_error(rows):
    with pytest.raises(DisorderError):
        list(merge_join((rows, same)))


entries = st.lists(
    st.dictionaries(st.text(max_size=5), st.text() | st.integers(), max_size=4), max_size=8
)


@given(entries, st.lists(st.integers(1, 9), max_size=40), st.booleans())
def test_a_statement_may_be_split_into_chunks_anywhere(written, cuts, spaced):
    text = json.dumps({"entries": written}, separators=None if spaced else (",", ":"))
    chunks, rest = [], text
    for cut in cuts:
        chunks.append(rest[:cut])
        rest = rest[cut:]
    assert list(entries_of([*chunks, rest])) == written


@pytest.mark.parametrize(
    "text",
    ["", "{}", '{"entries":[', '{"entries":[{"a":1}', '{"entries":[{"a":', "<html>[]"],
    ids=["nothing", "no list", "open", "no end", "half an entry", "a web page"],
)
def test_an_incomplete_statement_is_an_error(text):
    with pytest.raises(ValueError, match="statement"):
        list(entries_of([text]))
