"""Merkle trees of RFC 9162 (section 2.1), grown leaf by leaf from their frontier. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

HASH_BYTES = 32
_LEAF, _NODE = b"\x00", b"\x01"
"""Prefixes that keep the hash of a leaf and that of a node apart."""


def leaf_hash(content: bytes) -> bytes:
    """Return the hash of a leaf."""
    return sha256(_LEAF + content).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node over its two children."""
    return sha256(_NODE + left + right).digest()


@dataclass(frozen=True, slots=True)
class Frontier:
    """All that a tree needs to grow: its size, and the roots of its perfect subtrees.

    The perfect subtrees follow from the binary digits of the size; the largest one is first.
    """

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    @classmethod
    def of(cls, size: int, packed: bytes) -> Self:
        """Read a frontier; raise ValueError where the peaks do not fit the size."""
        peaks = tuple(_split(packed))
        if len(packed) % HASH_BYTES or len(peaks) != size.bit_count():
            raise ValueError(f"a tree of {size} leaves has {size.bit_count()} peaks")
        return cls(size, peaks)

    @property
    def packed(self) -> bytes:
        """The peaks, one behind the other."""
        return b"".join(self.peaks)

    @property
    def root(self) -> bytes:
        """The root of the tree: that of no leaf is the hash of nothing."""
        if not self.peaks:
            return sha256(b"").digest()
        found = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            found = node_hash(peak, found)
        return found

    def grown(self, leaves: Iterable[bytes]) -> "Frontier":
        """Return the frontier after more leaves, given by their hashes."""
        peaks, size = list(self.peaks), self.size
        for leaf in leaves:
            node, full = leaf, size
            while full & 1:
                node = node_hash(peaks.pop(), node)
                full >>= 1
            peaks.append(node)
            size += 1
        return Frontier(size, tuple(peaks))


class Tree:
    """A tree of which the leaves of the end are known, and the frontier before them."""

    def __init__(self, before: Frontier, leaves: Sequence[bytes]) -> None:
        self._before = before
        self._leaves = leaves
        self._peaks: dict[tuple[int, int], bytes] = {}
        start = 0
        for peak, width in zip(before.peaks, _widths(before.size), strict=True):
            self._peaks[start, start + width] = peak
            start += width

    @property
    def size(self) -> int:
        """The number of leaves."""
        return self._before.size + len(self._leaves)

    def path(self, index: int) -> list[bytes]:
        """Return the inclusion proof of one of the known leaves, from the leaf to the root.

        Raises IndexError for another leaf. Source: RFC 9162, section 2.1.3.1.
        """
        if not self._before.size <= index < self.size:
            raise IndexError(f"leaf {index} is not one of the last {len(self._leaves)}")
        found: list[bytes] = []
        start, stop = 0, self.size
        while stop - start > 1:
            middle = start + _largest_power(stop - start)
            if index < middle:
                found.append(self._hash(middle, stop))
                stop = middle
            else:
                found.append(self._hash(start, middle))
                start = middle
        return found[::-1]

    def _hash(self, start: int, stop: int) -> bytes:
        if peak := self._peaks.get((start, stop)):
            return peak
        if stop - start == 1:
            return self._leaves[start - self._before.size]
        middle = start + _largest_power(stop - start)
        return node_hash(self._hash(start, middle), self._hash(middle, stop))


def _split(packed: bytes) -> list[bytes]:
    return [packed[at : at + HASH_BYTES] for at in range(0, len(packed), HASH_BYTES)]


def _widths(size: int) -> list[int]:
    """Return the widths of the perfect subtrees of a tree, the largest first."""
    return [1 << bit for bit in reversed(range(size.bit_length())) if size >> bit & 1]


def _largest_power(count: int) -> int:
    """Return the largest power of two below a count of at least two."""
    return 1 << (count - 1).bit_length() - 1
