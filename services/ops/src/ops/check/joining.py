"""Joins sources that are ordered by id, with one row of each in memory."""

import json
from collections.abc import Callable, Iterable, Iterator
from heapq import merge
from itertools import groupby
from operator import itemgetter
from typing import Any

_Tagged = tuple[str, int, Any]


class DisorderError(ValueError):
    """A source is not in the order of its ids, or has an id twice."""


def merge_join(
    *sources: tuple[Iterable[Any], Callable[[Any], str]],
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yield each id with the row of each source, or None.

    A source is its rows, ascending by id as text, and a function from row to id. Raises
    DisorderError.
    """
    tagged = [_tagged(number, *source) for number, source in enumerate(sources)]
    for name, group in groupby(merge(*tagged, key=itemgetter(0)), key=itemgetter(0)):
        found: list[Any] = [None] * len(sources)
        for _, number, row in group:
            found[number] = row
        yield name, tuple(found)


def _tagged(number: int, rows: Iterable[Any], id_of: Callable[[Any], str]) -> Iterator[_Tagged]:
    last = ""
    for row in rows:
        name = id_of(row)
        if name <= last:
            raise DisorderError(f"{name} follows {last}")
        last = name
        yield name, number, row


def entries_of(chunks: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield the objects of `{"entries":[…]}` from chunks of text.

    Raises ValueError if the text has another form or is incomplete.
    """
    buffer, source = _opened(iter(chunks))
    decoder = json.JSONDecoder()
    while True:
        buffer = buffer.lstrip(" \n\r\t,")
        if buffer.startswith("]"):
            return
        try:
            entry, end = decoder.raw_decode(buffer)
        except ValueError:
            more = next(source, None)
            if more is None:
                raise ValueError("an incomplete statement") from None
            buffer += more
            continue
        yield entry
        buffer = buffer[end:]


def _opened(source: Iterator[str]) -> tuple[str, Iterator[str]]:
    """Read up to the list's bracket; return the text after it, and the remaining chunks."""
    head = ""
    for chunk in source:
        head += chunk
        if "[" in head:
            break
    start, bracket, rest = head.partition("[")
    if not bracket or "".join(start.split()) != '{"entries":':
        raise ValueError("no statement")
    return rest, source
