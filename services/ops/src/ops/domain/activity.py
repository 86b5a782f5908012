"""What the newest payments have become, as figures with a unit and a window. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ops.domain.rows import Row

MINUTE_S = 60.0


@dataclass(frozen=True, slots=True)
class Rates:
    """Payments a minute by outcome, in a window that ends now."""

    outcomes: Mapping[str, int]
    """Payments by outcome."""
    window_s: float

    @property
    def total(self) -> int:
        """All payments of the window."""
        return sum(self.outcomes.values())

    def a_minute(self, count: int) -> str:
        """Return a count of the window as payments a minute, in words."""
        rate = count * MINUTE_S / self.window_s
        return f"{rate:,.0f}" if rate >= 10 or rate == 0 else f"{rate:.1f}"


def rates_of(found: Mapping[str, Any]) -> Rates:
    """Return the rates of confirm's newest payments: of the whole window, or since the oldest.

    Where confirm has reached its most payments, the window begins at the oldest of them.
    """
    rows: Sequence[Row] = found["newest"]
    outcomes: Counter[str] = Counter()
    for row in rows:
        outcomes[outcome_of(row)] += row["payments"]
    window_s = float(found["window_s"])
    if outcomes.total() >= found["newest_at_most"]:
        first = min(datetime.fromisoformat(row["first_at"]) for row in rows)
        window_s = max(1.0, (datetime.fromisoformat(found["now"]) - first).total_seconds())
    return Rates(dict(outcomes.most_common()), window_s)


def outcome_of(row: Row) -> str:
    """Return one word for the state of a payment and of its settlement."""
    if row["status"] == "CONFIRMED":
        return str(row["settlement_status"])
    return str(row["status"])
