"""A simulator of providers whose success rates differ by segment, change and fail."""

from dataclasses import dataclass, field

from charges.domain.routing import Candidate, Limits, choose, learn, segment_of
from payment_schemas.money import Money
from service_runtime.clock import chance

PROVIDERS = ("stripe", "adyen", "third")
CURRENCIES = ("USD", "EUR")
RATES = {
    # Nobody is best everywhere, so that a fixed rule must lose.
    ("stripe", "USD"): 0.93, ("stripe", "EUR"): 0.86,
    ("adyen", "USD"): 0.88, ("adyen", "EUR"): 0.92,
    ("third", "USD"): 0.85, ("third", "EUR"): 0.84,
}  # fmt: skip
OUTAGES = {"stripe": (6_000, 7_000), "adyen": (13_000, 14_000)}
"""Payments during which a provider declines everything."""
DOWN = 0.02


@dataclass
class World:
    """Payments one after the other; `outage` replaces the standard ones."""

    seed: int
    outages: dict[str, tuple[int, int]] = field(default_factory=lambda: dict(OUTAGES))
    segments: dict[str, dict] = field(default_factory=dict)
    routed: list[tuple[int, str, float]] = field(default_factory=list)
    regret: float = 0.0
    """Successes that the best choice for each payment would have had more, on average."""

    def __post_init__(self):
        self.chance = chance(self.seed)

    def rate(self, provider, currency, number):
        first, last = self.outages.get(provider, (0, 0))
        return DOWN if first <= number < last else RATES[provider, currency]

    def run(self, payments, rule=None):
        """Return the share of successes, by the bandit or by a fixed rule: currency → provider."""
        return sum(self.pay(number, rule) for number in range(payments)) / payments

    def pay(self, number, rule=None):
        currency = CURRENCIES[self.chance.random() < 0.5]
        money = Money(5_000, currency)
        segment = segment_of("card", money)
        arms = self.segments.setdefault(segment, {})
        provider, propensity = (rule, 1.0) if rule else self.chosen(money, arms)
        is_success = self.chance.random() < self.rate(provider, currency, number)
        self.segments[segment] = learn(arms, provider, is_success=is_success)
        self.routed.append((number, provider, propensity))
        self.regret += max(self.rate(one, currency, number) for one in PROVIDERS)
        self.regret -= self.rate(provider, currency, number)
        return is_success

    def chosen(self, money, arms):
        candidates = [Candidate(name, Limits(), 150) for name in PROVIDERS]
        choice = choose(candidates, "card", money, arms, self.chance)
        return choice.provider, choice.propensity

    def share(self, provider, first, last):
        routed = [one for number, one, _ in self.routed if first <= number < last]
        return routed.count(provider) / len(routed)
