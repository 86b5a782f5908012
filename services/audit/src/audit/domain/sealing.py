"""Which leaves an append adds to which trees, and which of them a checkpoint seals. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import repeat
from typing import Any, NamedTuple, Self
from uuid import UUID

from audit.domain import Origin
from payment_schemas.checkpoints import (
    LEAF_BYTES,
    LIVE,
    Growth,
    Row,
    SealedLeaf,
    TreeHead,
    TreeName,
    leaf_of,
    unpack,
)
from payment_schemas.merkle import Frontier, leaf_hash

Frontiers = Mapping[TreeName, Frontier]
Leaves = dict[TreeName, list[SealedLeaf]]


class BrokenTreeError(Exception):
    """The leaves and the trees in the database do not fit each other."""


class Columns(NamedTuple):
    """What a statement appends, as it takes it: a list a column, all of one length."""

    names: Sequence[str]
    payments: Sequence[UUID | None]
    times: Sequence[datetime]
    event_ids: Sequence[UUID]
    topics: Sequence[str]
    partitions: Sequence[int]
    offsets: Sequence[int]
    contents: Sequence[bytes]
    """The records' bytes; of columns the database returns them as it has stored them."""

    @classmethod
    def of(cls, rows: Iterable[tuple[str, UUID | None, Origin, bytes]]) -> Self:
        """Return the columns of rows: name, payment, origin, content."""
        return cls(
            *zip(
                *(
                    (
                        name,
                        payment,
                        at.time,
                        at.event_id,
                        at.topic,
                        at.partition,
                        at.offset,
                        content,
                    )
                    for name, payment, at, content in rows
                ),
                strict=True,
            )
        )

    def trees(self) -> list[tuple[str, int]]:
        """Return the topics and partitions."""
        return sorted(set(zip(self.topics, self.partitions, strict=True)))

    def added(self, event_ids: Sequence[UUID] | None, topics: Sequence[str] | None) -> "Columns":
        """Return the rows that the statement has added, by their events' ids and topics; None: all.

        They are in the same order; of two rows of one event the first was added.
        """
        if event_ids is None or topics is None:
            return self
        left = iter(zip(event_ids, topics, strict=True))
        expected, places = next(left, None), []
        for place, key in enumerate(zip(self.event_ids, self.topics, strict=True)):
            if key == expected:
                places.append(place)
                expected = next(left, None)
        chosen: list[Any] = [[column[place] for place in places] for column in self]
        return Columns(*chosen)

    def leaves(self, row_ids: Iterable[int], *, is_raw: bool) -> Leaves:
        """Return the leaves of rows with these ids, by tree and in their order."""
        names, payments, times, event_ids, topics, partitions, offsets, contents = self
        where = topics, partitions, offsets
        # Two thirds of a loop's time: of 6 µs a row that a leaf may cost, hashing takes 2.
        texts = map(leaf_of, *where, times, event_ids, names, payments, contents, repeat(is_raw))
        found: dict[tuple[str, int], list[SealedLeaf]] = {}
        for row_id, topic, partition, offset, text in zip(row_ids, *where, texts, strict=True):
            leaf = SealedLeaf(row_id, offset, leaf_hash(text))
            if (topic, partition) in found:
                found[topic, partition].append(leaf)
            else:
                found[topic, partition] = [leaf]
        return {TreeName(LIVE, *place): leaves for place, leaves in found.items()}


def leaves_of(era: int, rows: Iterable[tuple[int, Row]]) -> Leaves:
    """Return the leaves of rows with their ids, by tree and in the order of the rows."""
    found: Leaves = {}
    for row_id, row in rows:
        tree = TreeName(era, row.topic, row.partition)
        found.setdefault(tree, []).append(SealedLeaf(row_id, row.offset, row.hash()))
    return found


def growths_of(leaves: Leaves, frontiers: Frontiers) -> list[Growth]:
    """Return by how much each tree grows."""
    return [
        Growth(tree, frontiers.get(tree, Frontier()), tuple(added))
        for tree, added in leaves.items()
    ]


@dataclass(frozen=True, slots=True)
class Pending:
    """The leaves of one append, as they wait for a checkpoint."""

    number: int
    trees: Sequence[tuple[int, str, int, int, int]]
    """Era, topic, partition, size before, leaves."""
    leaves: bytes

    def parts(self) -> Iterator[tuple[TreeName, int, Iterator[SealedLeaf]]]:
        """Yield each tree with its size before, and its leaves."""
        at = 0
        for era, topic, partition, size, count in self.trees:
            stop = at + count * LEAF_BYTES
            yield TreeName(era, topic, partition), size, unpack(self.leaves[at:stop])
            at = stop

    @property
    def count(self) -> int:
        """The number of leaves."""
        return len(self.leaves) // LEAF_BYTES

    def is_sealed(self, sizes: Mapping[TreeName, int]) -> bool:
        """Return whether trees of these sizes have all of it."""
        return all(
            size + count <= sizes.get(TreeName(era, topic, partition), 0)
            for era, topic, partition, size, count in self.trees
        )


def unsealed(pending: Iterable[Pending], sealed: Frontiers) -> list[Growth]:
    """Return what the trees have grown by since their seals.

    Raises BrokenTreeError where leaves are missing between a seal and the leaves that wait.
    """
    leaves: Leaves = {}
    for one in pending:
        for tree, size, added in one.parts():
            waiting = leaves.setdefault(tree, [])
            known = sealed.get(tree, Frontier()).size + len(waiting)
            if size > known:
                raise BrokenTreeError(f"{tree.topic}/{tree.partition}: no leaf {known}")
            waiting += list(added)[known - size :]
    return growths_of({tree: added for tree, added in leaves.items() if added}, sealed)


def reaches(pending: Iterable[Pending], heads: Iterable[TreeHead]) -> bool:
    """Return whether the leaves that wait reach as far as a checkpoint of before."""
    sizes = {
        TreeName(era, topic, partition): size + count
        for one in pending
        for era, topic, partition, size, count in one.trees
    }
    return all(sizes.get(head.tree, 0) >= head.size for head in heads)


def until(growths: Iterable[Growth], heads: Iterable[TreeHead]) -> list[Growth] | None:
    """Return the part of the growths that a checkpoint of before has sealed.

    None where leaves are not there yet. Raises BrokenTreeError where they give another root.
    """
    known = {one.tree: one for one in growths}
    found = []
    for head in heads:
        grown = known.get(head.tree)
        if grown is None or grown.before.size + len(grown.leaves) < head.size:
            return None
        part = Growth(grown.tree, grown.before, grown.leaves[: head.size - grown.before.size])
        if grown.before.size != head.start or part.after.root != head.root:
            raise BrokenTreeError(f"{head.tree.topic}/{head.tree.partition}: another root")
        found.append(part)
    return found


def steps(forms: Iterable[tuple[tuple[str, int], bool]]) -> list[int]:
    """Return in which statement each record is appended: of bytes the even ones, else the odd ones.

    A statement takes one form of rows. Records of one topic and partition stay in their order, so
    that records that are read again give the same tree. Nearly always two statements are enough.
    """
    last: dict[tuple[str, int], int] = {}
    found = []
    for place, is_raw in forms:
        at = last.get(place, 0)
        step = at if at % 2 != is_raw else at + 1
        last[place] = step
        found.append(step)
    return found
