"""The service level objectives and their burn rates.

Source of windows and factors: Google's SRE workbook, "Alerting on SLOs", multiple windows and
burn rates over a budget of 30 days.
"""

from dataclasses import dataclass

from observability.timing import Timing

_CONFIRM = 'service_name="gateway",http_route="/payment/confirm"'


@dataclass(frozen=True, slots=True)
class Objective:
    """A share of requests that must be good. `bad` and `all_` are PromQL with {window}."""

    name: str
    title: str
    target: float
    bad: str
    all_: str

    @property
    def budget(self) -> float:
        """The allowed share of bad requests."""
        return round(1 - self.target, 6)

    def record(self, window: str) -> str:
        """Return the name of the recorded bad share over a window."""
        return f"slo:{self.name}:ratio_rate{window}"

    def ratio(self, window: str) -> str:
        """Return PromQL of the bad share; empty without requests."""
        bad, whole = (text.replace("{window}", window) for text in (self.bad, self.all_))
        return f"({bad} or vector(0))\n/ {whole}"


@dataclass(frozen=True, slots=True)
class Burn:
    """Over both windows the budget burns `factor` times too fast."""

    factor: float
    long: str
    short: str


AVAILABILITY = Objective(
    "confirm_errors",
    "availability",
    0.999,
    f"sum(rate(http_server_request_duration_seconds_count"
    f'{{{_CONFIRM},http_response_status_code=~"5.."}}[{{window}}]))',
    f"sum(rate(http_server_request_duration_seconds_count{{{_CONFIRM}}}[{{window}}]))",
)
LATENCY = Objective(
    "confirm_slow",
    "latency",
    0.99,
    "(sum(rate(payment_confirm_duration_seconds_count[{window}]))"
    ' - sum(rate(payment_confirm_duration_seconds_bucket{le=~"1|1[.]0"}[{window}])))',
    "sum(rate(payment_confirm_duration_seconds_count[{window}]))",
)
OBJECTIVES = (AVAILABILITY, LATENCY)

FAST = (Burn(14.4, "1h", "5m"), Burn(6, "6h", "30m"))
"""2 % of the budget in an hour, 5 % in six: a page."""
SLOW = (Burn(3, "1d", "2h"), Burn(1, "3d", "6h"))
"""10 % of the budget in a day or in three: a ticket."""
WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")


def burning(objective: Objective, burns: tuple[Burn, ...]) -> str:
    """Return PromQL with a value while the budget burns at one of the rates."""
    branches = [
        f"({objective.record(one.long)} > {one.factor:g} * {objective.budget:g}"
        f" and {objective.record(one.short)} > {one.factor:g} * {objective.budget:g})"
        for one in burns
    ]
    return "\nor\n".join(branches)


def recorded(objective: Objective, timing: Timing) -> list[tuple[str, str]]:
    """Return name and PromQL of each recorded window."""
    return [(objective.record(one), objective.ratio(timing.window(one))) for one in WINDOWS]
