"""The only module that reads the time, makes ids and draws random values; others take a `Clock`."""

import random
import secrets
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID, uuid4


def chance(seed: int | None = None) -> random.Random:
    """Return a source of chance for statistics, never for secrets; with a seed, reproducible."""
    return random.Random(seed)  # noqa: S311 - guards nothing


class Clock(Protocol):
    """The source of time, ids and random values."""

    def now(self) -> datetime:
        """Return the time, in UTC."""
        ...

    def new_id(self) -> UUID:
        """Return a UUIDv4."""
        ...

    def jitter(self) -> float:
        """Return a number in [0, 1), for back-off only."""
        ...

    def text(self, alphabet: str, length: int) -> str:
        """Return unpredictable text of `length` characters of the alphabet."""
        ...


class SystemClock:
    """The system's clock and the operating system's randomness."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def new_id(self) -> UUID:
        return uuid4()

    def jitter(self) -> float:
        return random.random()  # noqa: S311 - spreads retries, guards nothing

    def text(self, alphabet: str, length: int) -> str:
        return "".join(secrets.choice(alphabet) for _ in range(length))
