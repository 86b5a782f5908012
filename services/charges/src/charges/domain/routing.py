"""Which provider gets a charge: hard limits, then discounted Thompson sampling. Pure.

Each segment (method, currency, amount band) has an arm a provider: the discounted counts of its
successes and failures. The probabilities of a choice are the shares of DRAWS draws from the arms'
posteriors that each provider wins on success less cost, mixed with a floor of exploration. The
choice is drawn from these probabilities, so the logged propensity is exact (no estimate), which an
off-policy estimate needs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol
from uuid import UUID

from payment_schemas.money import Money

DRAWS = 24
FLOOR = 0.04
"""Share of the charges that is spread evenly over all providers that may take them."""
DISCOUNT = 0.985
"""Of the counts, for each outcome in the segment: about the last 67 outcomes count."""
COST_WEIGHT = 1.0
"""What one percent of cost weighs against one percent of success."""
BANDS = (1_000, 10_000, 100_000, 1_000_000)
"""Upper limits of the amount bands, in minor units."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a provider takes. An empty set of currencies: every one."""

    currencies: frozenset[str] = frozenset()
    methods: frozenset[str] = frozenset({"card"})
    most_minor: int | None = None
    most_cost_ppm: int | None = None
    """The cost cap: share of the amount, in parts per million."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A provider at this moment."""

    name: str
    limits: Limits
    cost_minor: int
    is_open: bool = False
    """Its breaker is open: it is known to be down."""


@dataclass(frozen=True, slots=True)
class Arm:
    """Discounted outcomes of a provider in a segment."""

    successes: float = 0.0
    failures: float = 0.0

    def after(self, *, is_success: bool | None) -> "Arm":
        """Return the arm after an outcome in its segment; None: another provider's."""
        aged = Arm(self.successes * DISCOUNT, self.failures * DISCOUNT)
        if is_success is None:
            return aged
        if is_success:
            return replace(aged, successes=aged.successes + 1)
        return replace(aged, failures=aged.failures + 1)


Arms = Mapping[str, Arm]


class Chance(Protocol):
    """The source of chance: `random.Random`, by `service_runtime.clock.chance`."""

    def random(self) -> float:
        """Return a number in [0, 1)."""
        ...

    def betavariate(self, alpha: float, beta: float) -> float:
        """Draw from a Beta distribution."""
        ...


@dataclass(frozen=True, slots=True)
class Choice:
    """A provider, the probability with which it was chosen, and why."""

    provider: str | None
    propensity: float
    segment: str
    reasons: Mapping[str, Any] = field(default_factory=dict)
    """By provider: its probability, or the limit that excludes it."""


@dataclass(frozen=True, slots=True)
class RouteRow:
    """An attempt, and whether its provider has accepted it."""

    charge_id: UUID
    attempt: int
    segment: str
    provider: str
    is_success: bool


def segment_of(method: str, money: Money) -> str:
    """Return the segment of a charge."""
    band = sum(money.amount_minor > limit for limit in BANDS)
    return f"{method}:{money.currency}:{band}"


def excluded(candidate: Candidate, method: str, money: Money) -> str | None:
    """Return the hard limit that excludes a provider; None where it may take the charge."""
    limits = candidate.limits
    if method not in limits.methods:
        return "method"
    if limits.currencies and money.currency not in limits.currencies:
        return "currency"
    if limits.most_minor is not None and money.amount_minor > limits.most_minor:
        return "amount"
    cost_ppm = candidate.cost_minor * 1_000_000 // money.amount_minor
    if limits.most_cost_ppm is not None and cost_ppm > limits.most_cost_ppm:
        return "cost"
    return "breaker_open" if candidate.is_open else None


def choose(
    candidates: Sequence[Candidate], method: str, money: Money, arms: Arms, chance: Chance
) -> Choice:
    """Choose a provider for a charge; its provider is None where every one is excluded."""
    segment = segment_of(method, money)
    reasons: dict[str, Any] = {one.name: excluded(one, method, money) for one in candidates}
    eligible = [one for one in candidates if reasons[one.name] is None]
    if not eligible:
        return Choice(None, 0.0, segment, reasons)
    shares = _probabilities(eligible, money, arms, chance)
    name = _drawn(shares, chance.random())
    reasons |= {one: {"probability": round(share, 6)} for one, share in shares.items()}
    return Choice(name, shares[name], segment, reasons)


def _probabilities(
    eligible: Sequence[Candidate], money: Money, arms: Arms, chance: Chance
) -> dict[str, float]:
    wins = dict.fromkeys((one.name for one in eligible), 0)
    posteriors = [
        (one.name, arms.get(one.name, Arm()), COST_WEIGHT * one.cost_minor / money.amount_minor)
        for one in eligible
    ]
    for _ in range(DRAWS if len(eligible) > 1 else 0):
        best = max(
            posteriors,
            key=lambda one: chance.betavariate(1 + one[1].successes, 1 + one[1].failures) - one[2],
        )
        wins[best[0]] += 1
    drawn = sum(wins.values())
    floor = FLOOR / len(eligible)
    return {name: floor + (1 - FLOOR) * won / drawn if drawn else 1.0 for name, won in wins.items()}


def _drawn(shares: Mapping[str, float], at: float) -> str:
    name = ""
    for name, share in shares.items():  # noqa: B007 - the last one takes what rounding leaves
        at -= share
        if at < 0:
            break
    return name


def learn(arms: Arms, provider: str, *, is_success: bool) -> dict[str, Arm]:
    """Return a segment's arms after an outcome of one provider."""
    known = {**arms, provider: arms.get(provider, Arm())}
    return {
        name: arm.after(is_success=is_success if name == provider else None)
        for name, arm in known.items()
    }
