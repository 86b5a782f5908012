"""Back-off: the wait before a retry."""

from service_runtime.clock import Clock

FIRST_S = 0.2
MOST_S = 30.0


def delay_s(attempt: int, clock: Clock, first_s: float = FIRST_S, most_s: float = MOST_S) -> float:
    """Return seconds to wait after the attempt (1, 2, …): doubling, bounded, with jitter.

    The jitter is between half the bound and the bound: retries of many callers spread out.
    """
    bound: float = min(most_s, first_s * 2.0 ** min(attempt - 1, 30))
    return bound * (0.5 + 0.5 * clock.jitter())
