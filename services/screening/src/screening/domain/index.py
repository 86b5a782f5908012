"""Candidates among the names of a list: an optimistic bound of the score for each name. Pure.

For every part of the screened name the index knows which list names have a similar part, a common
symbol, or neighbouring parts that are similar when they are written as one. The sum over the parts
is an upper bound of LogicV2's score; names below `LOWEST_BOUND` are dropped before any comparison.
"""

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rigour.names import Name, Symbol

from screening.domain.analysis import joined, weights
from screening.domain.tokens import Tokens

LOWEST_BOUND: Final = 0.66
EXTRA_QUERY: Final = 0.8
EXTRA_RESULT: Final = 0.2
"""LogicV2's weights of parts that have no counterpart."""
CACHED_TOKENS: Final = 20_000
STEPS: Final = 1024
"""Of a similarity, rounded up, while hits are merged."""

Hits = tuple[NDArray[np.int32], NDArray[np.float32]]
"""Numbers of list names, each once, and the similarity of a part, or the bound of the whole."""


class NameIndex:
    """All names of one kind of entries."""

    def __init__(self, names: Sequence[Name]) -> None:
        self._size = len(names)
        postings = defaultdict[str, list[int]](list)
        symbols = defaultdict[Symbol, list[int]](list)
        for number, name in enumerate(names):
            whole = (part.comparable for part in name.parts)
            for text in {*whole, *(text for _, text in joined(name))}:
                postings[text].append(number)
            for symbol in name.symbols:
                symbols[symbol].append(number)
        tokens = Tokens(postings)
        owners = [np.array(postings[text], np.int32) for text in tokens.texts]
        # No method of this object: it would keep itself alive after a new list has replaced it.
        self._near = lru_cache(CACHED_TOKENS)(partial(_near, tokens, owners))
        self._symbols = {one: np.array(found, np.int32) for one, found in symbols.items()}

    def candidates(self, name: Name) -> Hits:
        """Return the numbers of the names that can reach the bound, and the bound of each."""
        if not name.parts or not self._size:
            return _merged([])
        scores = np.zeros(self._size, np.float32)
        totals = np.zeros(self._size, np.float32)
        extra = 0.0
        by_part = self._by_part(name)
        for hits, (matched, unmatched) in zip(by_part, weights(name), strict=True):
            extra += EXTRA_QUERY * unmatched
            found, similarity = _merged(hits)
            scores[found] += matched * similarity
            totals[found] += matched - EXTRA_QUERY * unmatched
        totals += extra
        (reached,) = np.nonzero(scores >= LOWEST_BOUND * totals)
        return reached.astype(np.int32), scores[reached] / totals[reached]

    def _by_part(self, name: Name) -> list[list[Hits]]:
        """Return for each part what may match it."""
        parts: list[list[Hits]] = [[self._near(part.comparable)] for part in name.parts]
        for places, text in joined(name):
            if len((hits := self._near(text))[0]):
                for place in places:
                    parts[place].append(hits)
        for span in name.spans:
            found = self._symbols.get(span.symbol)
            if found is not None:
                hits = (found, np.ones(len(found), np.float32))
                for part in span.parts:
                    parts[part.index].append(hits)
        return parts


def _near(tokens: Tokens, owners: Sequence[NDArray[np.int32]], token: str) -> Hits:
    """Return the names that have a part, or joined parts, like a token."""
    numbers, similarity = tokens.near(token)
    if not len(numbers):
        return _merged([])
    parts = [owners[number] for number in numbers.tolist()]
    every = np.repeat(similarity.astype(np.float32), [len(part) for part in parts])
    return _highest(np.concatenate(parts), every)


def _merged(hits: list[Hits]) -> Hits:
    """Return each name once, with its highest similarity."""
    if len(hits) == 1:
        return hits[0]
    if not hits:
        return np.empty(0, np.int32), np.empty(0, np.float32)
    return _highest(
        np.concatenate([one[0] for one in hits]), np.concatenate([one[1] for one in hits])
    )


def _highest(names: NDArray[np.int32], similarity: NDArray[np.float32]) -> Hits:
    """Return each name once, with the highest of its similarities."""
    found = names.astype(np.int64)
    # One sort of whole numbers, name before similarity, costs a quarter of a sort by two keys.
    keys = np.sort(found * STEPS + (STEPS - 1 - np.ceil(similarity * (STEPS - 1)).astype(np.int64)))
    found = keys // STEPS
    first = np.ones(len(found), np.bool_)
    first[1:] = found[1:] != found[:-1]
    highest = 1.0 - (keys[first] % STEPS) / (STEPS - 1)
    return found[first].astype(np.int32), highest.astype(np.float32)
