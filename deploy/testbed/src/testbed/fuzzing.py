"""Fuzzing: bounded and repeatable in `make test`, random and longer by `make fuzz MINUTES=n`.

By Hypothesis. Coverage-guided fuzzing by atheris has no package for Python 3.12 in the version that
Python 3.11 still gets, and the lock is for both.
"""

import os
import time
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy

MINUTES = float(os.environ.get("FUZZ_MINUTES", "0"))
_ROUND_EXAMPLES = 50
_SLOW = (HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large)


def explore(
    check: Callable[..., None], examples: int, share: float, **strategies: SearchStrategy[Any]
) -> None:
    """Call a check with drawn arguments: `examples` times, always the same, or for longer.

    `share`: of FUZZ_MINUTES. In rounds, because Hypothesis has no limit of time.
    """
    is_long = MINUTES > 0
    end_s = time.monotonic() + MINUTES * 60 * share
    limits = settings(
        max_examples=_ROUND_EXAMPLES if is_long else examples,
        derandomize=not is_long,
        database=None,
        deadline=None,
        suppress_health_check=_SLOW,
        # To shrink what a server has refused would send it thousands of requests more.
        phases=[Phase.generate],
    )
    while True:
        limits(given(**strategies)(check))()
        if time.monotonic() >= end_s:
            return


def fuzzed(examples: int = 40, **strategies: SearchStrategy[Any]) -> Callable[..., Any]:
    """Make a test of a check of drawn arguments: one of about a hundred."""

    def made(check: Callable[..., None]) -> Callable[[], None]:
        def test() -> None:
            explore(check, examples, 1 / 100, **strategies)

        test.__doc__ = check.__doc__
        return test

    return made
