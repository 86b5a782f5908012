"""The store of the audit log's checkpoints as a folder: the service's, or a copy of a bucket."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from ops.domain.errors import UnavailableError
from payment_schemas.checkpoints import (
    Checkpoint,
    TreeName,
    checkpoint_name,
    digest_of,
    key_name,
    leaves_name,
)
from service_runtime.errors import Rejected
from service_runtime.sealing import verify_signature


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint, the line that is signed, and its signature, which is valid."""

    checkpoint: Checkpoint
    text: str
    signature: str

    @property
    def key_id(self) -> str:
        """The id of the key that it is signed with."""
        return self.signature.partition(".")[0]


class CheckpointFolder:
    """Reads checkpoints and leaves; accepts the pinned keys, by default those of the folder."""

    def __init__(self, folder: Path, pinned: Mapping[str, bytes] | None = None) -> None:
        self._folder = folder
        if not (folder / "checkpoints").is_dir():
            raise UnavailableError(
                f"{folder}: no checkpoints; audit writes one a minute", f"ls {folder}"
            )
        self.keys = dict(pinned) if pinned is not None else dict(self._published())

    def _published(self) -> Iterator[tuple[str, bytes]]:
        for path in sorted((self._folder / key_name("")).glob("*")):
            yield path.name, bytes.fromhex(path.read_text())

    @property
    def last(self) -> int:
        """The highest number of a checkpoint."""
        folders = sorted((self._folder / "checkpoints").iterdir())
        return max((int(path.name) for path in folders[-1].iterdir()), default=0) if folders else 0

    def read(self, number: int) -> SignedCheckpoint:
        """Return a checkpoint; raise ValueError where it is missing, or not as it was signed."""
        try:
            text, signature, _ = self._bytes(checkpoint_name(number)).decode().split("\n")
            verify_signature(self.keys, signature, text.encode())
            found = Checkpoint.read(text)
        except FileNotFoundError:
            raise ValueError("is missing") from None
        except Rejected:
            raise ValueError("is not signed by a known key") from None
        except ValueError:
            raise ValueError("cannot be read") from None
        if found.number != number:
            raise ValueError(f"is number {found.number}")
        return SignedCheckpoint(found, text, signature)

    def leaves(self, checkpoint: Checkpoint) -> bytes:
        """Return the leaves that a checkpoint seals; raise ValueError where they are not those."""
        if not checkpoint.trees:
            return b""
        try:
            found = self._bytes(leaves_name(checkpoint.number))
        except FileNotFoundError:
            raise ValueError("its leaves are missing") from None
        if sha256(found).hexdigest() != checkpoint.leaves_sha256:
            raise ValueError("its leaves are not those that it seals")
        return found

    def _bytes(self, name: str) -> bytes:
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:
            raise
        except OSError as error:
            raise UnavailableError(f"{name}: {error.strerror}", f"ls -l {self._folder}") from None


class Chain:
    """Checkpoints in their order: each one names the one before, and trees only grow."""

    def __init__(self) -> None:
        self._before: SignedCheckpoint | None = None
        self._is_whole = True
        self._sizes: dict[TreeName, int] = {}

    def skip(self) -> None:
        """Leave out a checkpoint that cannot be read: the next one is compared with none."""
        self._is_whole = False

    def add(self, signed: SignedCheckpoint) -> Iterator[str]:
        """Yield what is wrong with the next checkpoint."""
        found, before = signed.checkpoint, self._before
        if self._is_whole:
            if found.previous != (digest_of(before.text) if before else ""):
                yield "does not follow the one before"
            if before and found.time < before.checkpoint.time:
                yield "is older than the one before"
            if before and found.history_last_id != before.checkpoint.history_last_id:
                yield "has other rows of before"
            for head in found.trees:
                if head.start != self._sizes.get(head.tree, 0) or head.size <= head.start:
                    yield f"does not continue the tree of {head.tree.topic}/{head.tree.partition}"
        self._sizes |= {head.tree: head.size for head in found.trees}
        self._before, self._is_whole = signed, True


def pinned_keys(path: Path) -> dict[str, bytes]:
    """Return the keys of a file: lines of an id and 64 hex digits. Raises UnavailableError."""
    try:
        pairs = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line]
        return {key_id: bytes.fromhex(text) for key_id, text in pairs}
    except (OSError, ValueError) as error:
        what = f"{path}: must have lines of a key's id and its 32 bytes as hex ({error})"
        raise UnavailableError(what, "countersign audit verify --help") from None
