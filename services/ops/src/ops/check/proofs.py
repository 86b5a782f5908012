"""Inclusion proofs: that a checkpoint seals a row, for readers without access to the system."""

from base64 import b64encode
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from ops.clients.checkpoints import CheckpointFolder, SignedCheckpoint
from payment_schemas.checkpoints import Growth, Row
from payment_schemas.merkle import Tree


class Proofs:
    """Finds the checkpoint that seals a row, and makes its proof."""

    def __init__(self, folder: CheckpointFolder) -> None:
        self._folder = folder

    def of(self, row: Row, recorded_at: datetime) -> dict[str, Any] | None:
        """Return the proof of a row; None where no checkpoint seals it as it is.

        Raises ValueError where a checkpoint on the way cannot be read.
        """
        wanted = row.hash()
        for number in self._candidates(recorded_at):
            signed = self._folder.read(number)
            for growth in self._growths(signed, row):
                hashes = [leaf.hash for leaf in growth.leaves]
                if wanted in hashes:
                    return self._proof(row, signed, growth, hashes.index(wanted))
        return None

    def _candidates(self, recorded_at: datetime) -> Iterator[int]:
        """Yield the checkpoints: those since the row was recorded first.

        A row of before the trees, or one that was read again, was sealed at another time.
        """
        low, high = 1, self._folder.last + 1
        while low < high:
            middle = (low + high) // 2
            if self._folder.read(middle).checkpoint.time < recorded_at:
                low = middle + 1
            else:
                high = middle
        yield from range(low, self._folder.last + 1)
        yield from range(1, low)

    def _growths(self, signed: SignedCheckpoint, row: Row) -> Iterator[Growth]:
        heads = [
            head
            for head in signed.checkpoint.trees
            if (head.tree.topic, head.tree.partition) == (row.topic, row.partition)
        ]
        stored = self._folder.leaves(signed.checkpoint) if heads else b""
        for head in heads:
            yield head.growth(stored)

    def _proof(self, row: Row, signed: SignedCheckpoint, growth: Growth, at: int) -> dict[str, Any]:
        hashes = [leaf.hash for leaf in growth.leaves]
        index = growth.before.size + at
        path = Tree(growth.before, hashes).path(index)
        return {
            "leaf": b64encode(row.leaf()).decode(),
            "tree": growth.tree._asdict(),
            "index": index,
            "path": [one.hex() for one in path],
            "checkpoint": signed.text,
            "signature": signed.signature.partition(".")[2],
            "key_id": signed.key_id,
            "public_key": self._folder.keys[signed.key_id].hex(),
        }
