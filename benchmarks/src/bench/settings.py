"""Numbers that the user sets for a command: ROUNDS=5, MINUTES=15."""

import os

from bench.errors import BenchmarkError


def number_of(name: str, default: int, most: int) -> int:
    """Return the number in an environment variable. Raises BenchmarkError naming it."""
    text = os.environ.get(name) or str(default)
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise BenchmarkError(f"{name} must be a number from 1 to {most:,}, not {text!r}")
    return int(text)
