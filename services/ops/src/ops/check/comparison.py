"""Compares rows with sealed leaves one by one, in a temporary database: what differs is named."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ops.check.scratch import Scratch
from ops.clients.checkpoints import CheckpointFolder
from ops.domain.tampering import Finding, out_of_order
from payment_schemas.checkpoints import Checkpoint, Row, TreeName

_TABLES = (
    """create table sealed (tree integer, position integer, row_id integer, "offset" integer,
                            hash blob, found_id integer)""",
    """create table present (tree integer, row_id integer, "offset" integer, hash blob,
                             is_known integer not null default 0)""",
)
_MATCH = (
    "create index sealed_hash on sealed (hash)",
    "create index present_hash on present (hash)",
    "create index present_id on present (row_id)",
    # Of equal rows, which only a table without its unique index can have, the first one counts.
    """update sealed set found_id = (
           select min(row_id) from present
           where present.hash = sealed.hash and present.tree = sealed.tree)""",
    "create index sealed_found on sealed (found_id)",
    """update present set is_known = 1
       where row_id in (select found_id from sealed where sealed.hash = present.hash)""",
)
_GONE = """
    select tree, position, row_id, "offset",
           (select present.tree from present
            where present.row_id = sealed.row_id and not is_known) as now_in,
           position > coalesce((select max(position) from sealed as other
                                where other.tree = sealed.tree and found_id is not null), -1)
               as is_last
    from sealed where found_id is null order by tree, position"""
_NEW = """
    select tree, row_id, "offset" from present
    where not is_known
      and row_id not in (select row_id from sealed where found_id is null)
      and row_id <= (select max(row_id) from sealed where sealed.tree = present.tree)
    order by tree, row_id"""
_MOVED = """
    select tree, position, found_id, "offset" from (
        select *, row_number() over (partition by tree order by found_id) as by_id,
               row_number() over (partition by tree order by position) as by_position
        from sealed where found_id is not null)
    where by_id <> by_position order by tree, found_id"""


@dataclass(frozen=True, slots=True)
class Good:
    """Up to where a tree is as it was sealed."""

    size: int
    row_id: int | None
    """The last row; None where no row is known to be good."""


class Comparison(Scratch):
    """The leaves and rows of some trees, behind what is known to be good."""

    def __init__(self, suspects: Mapping[TreeName, Good]) -> None:
        super().__init__(*_TABLES)
        self._suspects = suspects
        self._names = list(suspects)
        self._number = {tree: number for number, tree in enumerate(self._names)}

    def add_sealed(self, checkpoint: Checkpoint, folder: CheckpointFolder) -> None:
        """Store the leaves that a checkpoint seals; raise ValueError where they are not those."""
        wanted = [
            head
            for head in checkpoint.trees
            if head.tree in self._suspects and head.size > self._suspects[head.tree].size
        ]
        if not wanted:
            return
        stored = folder.leaves(checkpoint)
        for head in wanted:
            growth = head.growth(stored)
            if growth.after.root != head.root:
                raise ValueError("its leaves do not give the root")
            number = self._number[head.tree]
            self._db.executemany(
                "insert into sealed values (?, ?, ?, ?, ?, null)",
                ((number, head.start + at, *leaf) for at, leaf in enumerate(growth.leaves)),
            )

    def add_row(self, tree: TreeName, row_id: int, row: Row) -> None:
        """Store a row of a suspect tree."""
        good = self._suspects.get(tree)
        if good is None or (good.row_id is not None and row_id <= good.row_id):
            return
        self._db.execute(
            "insert into present (tree, row_id, offset, hash) values (?, ?, ?, ?)",
            (self._number[tree], row_id, row.offset, row.hash()),
        )

    def findings(self) -> Iterator[Finding]:
        """Yield what differs."""
        for statement in _MATCH:
            self._db.execute(statement)
        yield from self._gone()
        for number, row_id, offset in self._db.execute(_NEW):
            yield self._of(number, row_id, offset, "inserted", "was not there when it was sealed")
        yield from self._moved()

    def _gone(self) -> Iterator[Finding]:
        for number, position, row_id, offset, now_in, is_last in self._db.execute(_GONE):
            if now_in is not None:
                what = "is not as it was sealed"
                if now_in != number:
                    tree = self._names[now_in]
                    what += f"; it is now in {tree.topic}/{tree.partition}"
                yield self._of(number, row_id, offset, "changed", what)
            elif is_last:
                yield self._of(number, row_id, offset, "cut off", f"was leaf {position}")
            else:
                yield self._of(number, row_id, offset, "removed", f"was leaf {position}")

    def _moved(self) -> Iterator[Finding]:
        """Yield the fewest rows whose order differs."""
        rows = self._db.execute(_MOVED).fetchall()
        for number in range(len(self._names)):
            moved = [row for row in rows if row[0] == number]
            for at in out_of_order([position for _, position, _, _ in moved]):
                _, position, row_id, offset = moved[at]
                what = f"stands elsewhere than where it was sealed, as leaf {position}"
                yield self._of(number, row_id, offset, "reordered", what)

    def _of(self, number: int, row_id: int, offset: int, kind: str, details: str) -> Finding:
        tree = self._names[number]
        return Finding(kind, details, row_id, tree.topic, tree.partition, offset)
