"""How long to wait before the same is tried again."""

from service_runtime.clock import Clock

FIRST_S = 0.2
MOST_S = 30.0


def delay_s(attempt: int, clock: Clock, first_s: float = FIRST_S, most_s: float = MOST_S) -> float:
    """Return seconds to wait after the attempt (1, 2, …): doubling, bounded, with jitter.

    Between half and the whole of the bound, so that a crowd spreads and nobody waits for nothing.
    """
    bound: float = min(most_s, first_s * 2.0 ** min(attempt - 1, 30))
    return bound * (0.5 + 0.5 * clock.jitter())
