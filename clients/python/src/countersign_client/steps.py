"""The steps of a flow, which a client carries out."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from countersign_client.answers import Answer

LONGEST_TRY_S = 15.0
"""The gateway responds within 10 s."""


@dataclass(frozen=True)
class Send:
    """Send a request. The result is an Answer, or ConnectionFailed as a value."""

    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    body: dict[str, str] | None = None
    content: str | None = None
    """A body that is encrypted already."""
    timeout_s: float = LONGEST_TRY_S


@dataclass(frozen=True)
class Wait:
    """Wait."""

    seconds: float


@dataclass(frozen=True)
class Call:
    """Call a function, whose result may be awaitable, or which may block on a disk."""

    function: Callable[[], Any]
    blocks: bool = False


@dataclass(frozen=True)
class Follow:
    """Follow a payment by its stream until a status is `done`.

    The result is that status, or None where the stream ends, fails or is refused before.
    """

    path: str
    headers: dict[str, str]
    done: Callable[[Answer], bool]
    timeout_s: float
