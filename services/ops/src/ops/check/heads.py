"""The roots that the checkpoints have for each tree, in a temporary database."""

from collections.abc import Iterator
from dataclasses import dataclass

from ops.check.scratch import Scratch
from payment_schemas.checkpoints import Checkpoint, TreeName

_CREATE = """create table head (
    era integer, topic text, partition integer, size integer, root blob not null, number integer,
    primary key (era, topic, partition, size)) without rowid"""


@dataclass(frozen=True, slots=True)
class Head:
    """A root at a size; `number` is the checkpoint's, None for the tree in the database."""

    size: int
    root: bytes
    number: int | None


class ExpectedHeads(Scratch):
    """Heads by tree and size."""

    def __init__(self) -> None:
        super().__init__(_CREATE)

    def add(self, checkpoint: Checkpoint) -> None:
        """Store the heads of a checkpoint."""
        for head in checkpoint.trees:
            self.put(head.tree, Head(head.size, head.root, checkpoint.number))

    def put(self, tree: TreeName, head: Head) -> None:
        """Store one head; the first one of a size stays."""
        self._db.execute(
            "insert or ignore into head values (?, ?, ?, ?, ?, ?)",
            (*tree, head.size, head.root, head.number),
        )

    def next(self, tree: TreeName, size: int) -> Head | None:
        """Return the first head of a tree behind a size."""
        found = self._db.execute(
            """select size, root, number from head
               where era = ? and topic = ? and partition = ? and size > ? order by size limit 1""",
            (*tree, size),
        ).fetchone()
        return Head(*found) if found else None

    def sealed(self) -> Iterator[tuple[TreeName, int]]:
        """Yield each tree with the size in its last checkpoint."""
        rows = self._db.execute(
            """select era, topic, partition, max(size) from head where number is not null
               group by era, topic, partition"""
        ).fetchall()
        return ((TreeName(*name), size) for *name, size in rows)
