"""Which tokens of a list are within an edit or two of a token: a prefix-7 deletion index. Pure.

rigour charges each of two tokens for its own characters that the other lacks. Two similar tokens so
have a common text after one or two deletions in each: that text is what the index finds them by. It
holds the first seven characters alone, which bounds the deletions; rapidfuzz confirms the whole.
Source: Garbe, SymSpell (2012).
"""

from array import array
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import LCSseq
from rapidfuzz.process import cdist

PREFIX: Final = 7
ONE_EDIT_FROM: Final = 4
"""Characters from which a token may have one edit; LogicV2 accepts none in a shorter one."""
TWO_EDITS_FROM: Final = 8
TABLE: Final = 1 << 24
"""Bits of a hash that are looked up first; a byte each."""
CHEAPEST_EDIT: Final = 0.7
"""Cost of the cheapest edit in rigour's comparison: a pair that is easily confused, as 0 and o."""


def edits_of(length: int) -> int:
    """Return the edits that a token of this length may have."""
    if length < ONE_EDIT_FROM:
        return 0
    return 1 if length < TWO_EDITS_FROM else 2


MOST_EDITS: Final = edits_of(TWO_EDITS_FROM)
_NOTHING: Final = np.empty(0, np.int32)
_EDITS: Final = np.array([edits_of(length) for length in range(TWO_EDITS_FROM + 1)], np.int32)


def _edits_of(lengths: NDArray[np.int32]) -> NDArray[np.int32]:
    return _EDITS[np.minimum(lengths, TWO_EDITS_FROM)]


def _similarity(edits: NDArray[np.int32], length: int | NDArray[np.int32]) -> NDArray[np.float64]:
    return 1.0 - CHEAPEST_EDIT * edits / length


class Tokens:
    """The tokens of a list by their texts with deletions."""

    def __init__(self, tokens: Iterable[str]) -> None:
        self.texts: Sequence[str] = list(dict.fromkeys(tokens))
        self._lengths = np.array([len(text) for text in self.texts], np.int32)
        hashes, numbers = array("q"), array("i")
        for number, text in enumerate(self.texts):
            for rest in _deletions(text):
                hashes.append(hash(rest))
                numbers.append(number)
        every = np.frombuffer(hashes, dtype=np.int64)
        order = np.argsort(every, kind="stable")
        keys, starts = np.unique(every[order], return_index=True)
        # Most texts are none of these: one look at a table spares a search of two million keys.
        self._may_be_there = np.zeros(TABLE, np.bool_)
        self._may_be_there[keys % TABLE] = True
        # The last key has no owners: a look-up always ends at one.
        self._keys = np.append(keys, np.iinfo(np.int64).max)
        self._starts = np.append(starts, [len(every)] * 2)
        self._owners = np.frombuffer(numbers, dtype=np.int32)[order]

    def near(self, token: str) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Return the numbers of similar tokens, with the highest similarity each can have."""
        numbers = self._sharing(token)
        if not len(numbers):
            return numbers, np.empty(0)
        texts = [self.texts[number] for number in numbers.tolist()]
        (common,) = cdist([token], texts, scorer=LCSseq.similarity, dtype=np.int32)
        lengths, own = self._lengths[numbers], len(token)
        theirs, ours = lengths - common, own - common
        (near,) = np.nonzero((ours <= edits_of(own)) & (theirs <= _edits_of(lengths)))
        similarity = _similarity(ours, own) * _similarity(theirs, lengths)
        return numbers[near], similarity[near]

    def _sharing(self, token: str) -> NDArray[np.int32]:
        """Return the numbers of the tokens that share a text with deletions with this one."""
        wanted = np.array([hash(rest) for rest in _deletions(token)], dtype=np.int64)
        wanted = wanted[self._may_be_there[wanted % TABLE]]
        places = np.searchsorted(self._keys[:-1], wanted)
        places = places[self._keys[places] == wanted]
        starts, ends = self._starts[places].tolist(), self._starts[places + 1].tolist()
        parts = [self._owners[start:end] for start, end in zip(starts, ends, strict=True)]
        found = np.concatenate([_NOTHING, *parts])
        near = found[np.abs(self._lengths[found] - len(token)) <= MOST_EDITS]
        # A set of some dozens of numbers costs less than any function of numpy.
        return np.array(list(set(near.tolist())), np.int32)


def _deletions(token: str) -> set[str]:
    """Return the token's prefix with zero, one or two characters removed, as its length allows."""
    text, edits = token[:PREFIX], edits_of(len(token))
    found = {text}
    if edits:
        found.update(text[:at] + text[at + 1 :] for at in range(len(text)))
    if edits > 1:
        pairs = combinations(range(len(text)), 2)
        found.update(text[:at] + text[at + 1 : to] + text[to + 1 :] for at, to in pairs)
    return found
