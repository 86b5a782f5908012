"""The sealed form of the audit log: leaves, signed checkpoints, and the leaves beside them. Pure.

A checkpoint is a text of two lines: a JSON object, and the Ed25519 signature over its bytes. Beside
it are the leaves that it seals: of each tree that has grown the frontier before them (its peaks of
32 bytes), then 48 bytes a leaf: row id, offset, hash. docs/audit-proof.md has the formats.
"""

import json
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, NamedTuple, Self
from uuid import UUID

from payment_schemas.merkle import HASH_BYTES, Frontier, leaf_hash

FORMAT = "countersign-audit/1"
HISTORY, LIVE = 0, 1
"""The era of a tree: rows of before the log had trees, sealed later; rows since then."""
FOLDER_OF = 10_000
"""Checkpoints in one folder of the store."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LEAF = struct.Struct(f">QQ{HASH_BYTES}s")
LEAF_BYTES = _LEAF.size


class TreeName(NamedTuple):
    """One tree: rows of a topic and partition, of one era."""

    era: int
    topic: str
    partition: int


class SealedLeaf(NamedTuple):
    """A leaf with the row that it was made of: the row's id is no part of the hash."""

    row_id: int
    offset: int
    hash: bytes


class Row(NamedTuple):
    """What is sealed of a row of the audit log."""

    topic: str
    partition: int
    offset: int
    time: datetime
    event_id: UUID
    event: str
    payment_id: UUID | None
    content: bytes
    """The record's bytes; of a row that is stored as columns these, as a JSON array."""
    is_raw: bool

    def leaf(self) -> bytes:
        """Return the leaf: a line of JSON that says what the row is, and the content."""
        return leaf_of(*self)

    def hash(self) -> bytes:
        """Return the hash of the leaf."""
        return leaf_hash(leaf_of(*self))


def leaf_of(  # noqa: PLR0913, PLR0917 - the fields of a row, which an append has without making one
    topic: str,
    partition: int,
    offset: int,
    time: datetime,
    event_id: UUID,
    event: str,
    payment_id: UUID | None,
    content: bytes,
    is_raw: bool,  # noqa: FBT001
) -> bytes:
    """Return the leaf of a row: a microsecond for the line of JSON, with UUIDs as 32 hex digits."""
    since = time - _EPOCH
    time_us = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    payment = f'"{payment_id.int:032x}"' if payment_id else "null"
    return (
        f'{{"topic":"{topic}","partition":{partition},"offset":{offset},"time_us":{time_us},'
        f'"event_id":"{event_id.int:032x}","event":"{event}","payment_id":{payment},'
        f'"form":"{"bytes" if is_raw else "columns"}"}}\n'
    ).encode() + content


@dataclass(frozen=True, slots=True)
class Growth:
    """The leaves by which one tree has grown since the checkpoint before."""

    tree: TreeName
    before: Frontier
    leaves: tuple[SealedLeaf, ...]

    @property
    def after(self) -> Frontier:
        """The frontier with the leaves."""
        return self.before.grown(leaf.hash for leaf in self.leaves)

    def packed(self) -> bytes:
        """Return the frontier and the leaves as they are stored beside the checkpoint."""
        return self.before.packed + b"".join(_LEAF.pack(*leaf) for leaf in self.leaves)


@dataclass(frozen=True, slots=True)
class TreeHead:
    """A tree in a checkpoint: its size and root, and where its new leaves are stored."""

    tree: TreeName
    start: int
    """The size in the checkpoint before."""
    size: int
    root: bytes
    at: int
    """Position in the file of leaves, in bytes."""

    def growth(self, stored: bytes) -> Growth:
        """Return the leaves out of their file; raise ValueError where they do not give the root."""
        first = self.at + self.start.bit_count() * HASH_BYTES
        packed = stored[first : first + (self.size - self.start) * LEAF_BYTES]
        if len(packed) != (self.size - self.start) * LEAF_BYTES:
            raise ValueError("the leaves end too early")
        before = Frontier.of(self.start, stored[self.at : first])
        leaves = tuple(SealedLeaf(*one) for one in _LEAF.iter_unpack(packed))
        return Growth(self.tree, before, leaves)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The trees that have grown since the checkpoint before; the others are as they were."""

    number: int
    time: datetime
    previous: str
    """SHA-256 of the first line of the checkpoint before, as hex; empty in the first one."""
    history_last_id: int
    """The last row of before the log had trees."""
    leaves_sha256: str
    trees: tuple[TreeHead, ...]

    def text(self) -> str:
        """Return the line that is signed."""
        trees = [
            {**head.tree._asdict(), "start": head.start, "size": head.size}
            | {"root": head.root.hex(), "at": head.at}
            for head in self.trees
        ]
        body = {
            "format": FORMAT,
            "number": self.number,
            "time": self.time.isoformat(),
            "previous": self.previous,
            "history_last_id": self.history_last_id,
            "leaves_sha256": self.leaves_sha256,
            "trees": trees,
        }
        return json.dumps(body, separators=(",", ":"))

    @classmethod
    def read(cls, text: str) -> Self:
        """Return the checkpoint of a line; raise ValueError where it is none."""
        try:
            body = json.loads(text)
            if body.pop("format") != FORMAT:
                raise ValueError("another format")
            trees = tuple(map(_head_of, body.pop("trees")))
            return cls(**body | {"time": datetime.fromisoformat(body["time"]), "trees": trees})
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"no checkpoint: {error}") from None


def _head_of(row: dict[str, Any]) -> TreeHead:
    tree = TreeName(row["era"], row["topic"], row["partition"])
    return TreeHead(tree, row["start"], row["size"], bytes.fromhex(row["root"]), row["at"])


def digest_of(text: str) -> str:
    """Return the SHA-256 by which the next checkpoint names this one."""
    return sha256(text.encode()).hexdigest()


def packed_leaves(growths: Iterable[Growth]) -> tuple[tuple[TreeHead, ...], bytes]:
    """Return the heads of the trees, and the file of their leaves."""
    heads, stored = [], bytearray()
    for one in growths:
        after = one.after
        heads.append(TreeHead(one.tree, one.before.size, after.size, after.root, len(stored)))
        stored += one.packed()
    return tuple(heads), bytes(stored)


def pack(leaves: Iterable[SealedLeaf]) -> bytes:
    """Return leaves, 48 bytes each."""
    return b"".join(_LEAF.pack(*leaf) for leaf in leaves)


def unpack(packed: bytes) -> Iterator[SealedLeaf]:
    """Yield leaves."""
    return (SealedLeaf(*one) for one in _LEAF.iter_unpack(packed))


def checkpoint_name(number: int) -> str:
    """Return the name of a checkpoint in its store."""
    return f"checkpoints/{number // FOLDER_OF:06d}/{number:010d}"


def leaves_name(number: int) -> str:
    """Return the name of the leaves that a checkpoint seals."""
    return f"leaves/{number // FOLDER_OF:06d}/{number:010d}"


def key_name(key_id: str) -> str:
    """Return the name of a public key in the store of the checkpoints: its bytes as hex."""
    return f"keys/{key_id}"
