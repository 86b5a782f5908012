"""What the verification of the audit log finds. Pure."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

LISTED = 1000
"""Findings that are listed; all are counted."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A row, a tree or a checkpoint that is not as it was sealed."""

    kind: str
    """changed, inserted, removed, reordered, cut off; checkpoint, tree."""
    details: str
    row_id: int | None = None
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None


@dataclass(slots=True)
class Verification:
    """The outcome."""

    rows: int = 0
    checkpoints: int = 0
    unsealed: int = 0
    """Rows since the last checkpoint: compared with the trees of the database alone."""
    history_left: int = 0
    """Rows of before the log had trees that are not sealed yet."""
    last_at: datetime | None = None
    """The time of the last checkpoint."""
    keys: set[str] = field(default_factory=set)
    """The ids of the keys that checkpoints are signed with."""
    count: int = 0
    findings: list[Finding] = field(default_factory=list)

    def add(self, finding: Finding) -> None:
        """Count a finding, and list it up to the limit."""
        self.count += 1
        if len(self.findings) < LISTED:
            self.findings.append(finding)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self) | {"keys": sorted(self.keys)}


def out_of_order(positions: Sequence[int]) -> list[int]:
    """Return the fewest indices whose removal leaves the positions in order."""
    ends: list[int] = []
    lengths = []
    for position in positions:
        length = bisect_left(ends, position)
        ends[length : length + 1] = [position]
        lengths.append(length)
    kept, wanted, below = set(), len(ends) - 1, float("inf")
    for index in reversed(range(len(positions))):
        if lengths[index] == wanted and positions[index] < below:
            kept.add(index)
            wanted, below = wanted - 1, positions[index]
    return [index for index in range(len(positions)) if index not in kept]
