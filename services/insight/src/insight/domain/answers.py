"""What an answer of the chat has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer with what it rests on."""

    outcome: str
    """`answered` or `refused`."""
    answer: str
    reason: str | None = None
    """Why it is refused."""
    chosen_by: str = "matching"
    """`model` or `matching`."""
    figures: Sequence[Mapping[str, Any]] = ()
    """Query, parameters and rows of each figure."""
    documents: Sequence[Mapping[str, Any]] = field(default=())
