"""Verifies the audit log: recomputes every root from the rows, for comparison with checkpoints.

One pass over the rows holds a frontier a tree. Where a root differs, a second pass compares the
rows of that tree with the leaves beside the checkpoints, one by one, in a temporary database.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ops.check.comparison import Comparison, Good
from ops.check.heads import ExpectedHeads, Head
from ops.clients.checkpoints import Chain, CheckpointFolder
from ops.domain.tampering import Finding, Verification
from payment_schemas.checkpoints import HISTORY, LIVE, Row, TreeName
from payment_schemas.merkle import Frontier

PROGRESS_ROWS = 5000
"""Rows between two reports of progress."""
Progress = Callable[[int, int], None]
"""Takes the number of rows that were read, and that of all."""
Heads = Mapping[TreeName, tuple[int, bytes]]
"""Size and root of each tree."""


class Source(Protocol):
    """Where rows and trees come from."""

    def trees(self) -> Heads:
        """Return size and root of each tree, as the database has them now."""
        ...

    def rows(self, first: int | None = None) -> Iterator[tuple[int, Row]]:
        """Yield all rows by id, or those from one on."""
        ...


@dataclass(slots=True)
class _Grown:
    """A tree while its rows are read."""

    expected: Head | None
    frontier: Frontier = field(default_factory=Frontier)
    good_size: int = 0
    good_id: int | None = None
    """The last row up to which the tree is as it was sealed."""
    is_suspect: bool = False


class AuditVerification:
    """One verification."""

    def __init__(self, source: Source, folder: CheckpointFolder, progress: Progress) -> None:
        self._source = source
        self._folder = folder
        self._progress = progress
        self._heads = ExpectedHeads()
        self._trees: dict[TreeName, _Grown] = {}
        self._history_last_id = 0
        self.found = Verification()

    def whole(self, last_number: int, history_last_id: int) -> Verification:
        """Verify everything.

        Of the database: the number of the last checkpoint, and the last row of before the trees.
        """
        self._history_last_id = history_last_id
        with self._heads:
            now = self._source.trees()
            self._read_checkpoints(max(last_number, self._folder.last))
            self._expect_of_database(now)
            self._read_rows(sum(size for size, _ in now.values()))
            self._judge_ends(self._source.trees())
        suspects = {
            tree: Good(one.good_size, one.good_id)
            for tree, one in self._trees.items()
            if one.is_suspect
        }
        if suspects:
            self._compare(suspects)
        return self.found

    def _read_checkpoints(self, last: int) -> None:
        """Check signatures and the chain; remember the roots."""
        chain = Chain()
        for number in range(1, last + 1):
            try:
                signed = self._folder.read(number)
            except ValueError as error:
                self._report(number, str(error))
                chain.skip()
                continue
            for fault in chain.add(signed):
                self._report(number, fault)
            self._heads.add(signed.checkpoint)
            self._history_last_id = signed.checkpoint.history_last_id
            self.found.last_at = signed.checkpoint.time
            self.found.checkpoints += 1
            self.found.keys.add(signed.key_id)

    def _report(self, number: int, fault: str) -> None:
        self.found.add(Finding("checkpoint", f"checkpoint {number} {fault}"))

    def _expect_of_database(self, now: Heads) -> None:
        """Expect the trees of the database, too, behind those of the last checkpoint."""
        sealed = dict(self._heads.sealed())
        for tree, size in sealed.items():
            have = now.get(tree, (0, b""))[0]
            if have < size:
                what = f"has {have} leaves in the database, and {size} are sealed"
                self.found.add(_of_tree(tree, what))
        for tree, (size, root) in now.items():
            if size > sealed.get(tree, 0):
                self._heads.put(tree, Head(size, root, None))

    def _read_rows(self, of_all: int) -> None:
        for row_id, row in self._source.rows():
            self.found.rows += 1
            if self.found.rows % PROGRESS_ROWS == 0:
                self._progress(self.found.rows, of_all)
            self._grow(self._tree_of(row_id, row), row_id, row)
        self._progress(self.found.rows, of_all)

    def _tree_of(self, row_id: int, row: Row) -> TreeName:
        # The database gives ids from 1 on.
        era = HISTORY if 1 <= row_id <= self._history_last_id else LIVE
        return TreeName(era, row.topic, row.partition)

    def _grown(self, tree: TreeName) -> _Grown:
        if tree not in self._trees:
            self._trees[tree] = _Grown(self._heads.next(tree, 0))
        return self._trees[tree]

    def _grow(self, tree: TreeName, row_id: int, row: Row) -> None:
        grown = self._grown(tree)
        if grown.is_suspect:
            return
        grown.frontier = grown.frontier.grown((row.hash(),))
        if grown.expected is None or grown.frontier.size < grown.expected.size:
            return
        if grown.frontier.root != grown.expected.root:
            grown.is_suspect = True
            return
        grown.good_size, grown.good_id = grown.frontier.size, row_id
        grown.expected = self._heads.next(tree, grown.good_size)

    def _judge_ends(self, now: Heads) -> None:
        """Suspect trees that end too early, and live ones with more rows than the database says."""
        sealed = dict(self._heads.sealed())
        for tree in sealed:
            self._grown(tree)
        for tree, grown in self._trees.items():
            over = grown.frontier.size - sealed.get(tree, 0)
            known = now.get(tree, (0, b""))[0]
            if over < 0 or (tree.era == LIVE and grown.frontier.size > known):
                grown.is_suspect = True
            elif not grown.is_suspect and tree.era == HISTORY:
                self.found.history_left += over
            elif not grown.is_suspect:
                self.found.unsealed += over

    def _compare(self, suspects: Mapping[TreeName, Good]) -> None:
        """Name what differs in the suspect trees, behind what is as it was sealed."""
        ids = [good.row_id for good in suspects.values()]
        first = None if None in ids else min(row_id for row_id in ids if row_id is not None) + 1
        with Comparison(suspects) as comparison:
            for number in range(1, self._folder.last + 1):
                self._add_sealed(comparison, number)
            for row_id, row in self._source.rows(first):
                comparison.add_row(self._tree_of(row_id, row), row_id, row)
            named = set()
            for finding in comparison.findings():
                named.add((finding.topic, finding.partition))
                self.found.add(finding)
        for tree, good in suspects.items():
            if (tree.topic, tree.partition) not in named:
                what = (
                    f"behind row {good.row_id} its rows are not the leaves of its tree, {_NOT_YET}"
                )
                self.found.add(_of_tree(tree, what))

    def _add_sealed(self, comparison: Comparison, number: int) -> None:
        try:
            signed = self._folder.read(number)
        except ValueError:
            return  # reported before
        try:
            comparison.add_sealed(signed.checkpoint, self._folder)
        except ValueError as error:
            self._report(number, str(error))


_NOT_YET = "which no checkpoint seals yet"


def _of_tree(tree: TreeName, what: str) -> Finding:
    return Finding("tree", what, topic=tree.topic, partition=tree.partition)
