"""Chooses a provider with what this process knows: limits, breakers, and learned outcomes."""

from collections.abc import Collection, Iterable, Mapping
from datetime import date

from charges.clients.port import Provider
from charges.domain.routing import (
    Arm,
    Candidate,
    Chance,
    Choice,
    Limits,
    RouteRow,
    choose,
    learn,
    segment_of,
)
from charges.domain.tariffs import cost_minor
from payment_schemas.money import Money

METHOD = "card"


class Router:
    """The arms in memory: updated by own outcomes at once, by other instances' each second."""

    def __init__(
        self, providers: Mapping[str, Provider], limits: Mapping[str, Limits], chance: Chance
    ) -> None:
        self._providers = providers
        self._limits = limits
        self._chance = chance
        self._arms: dict[str, dict[str, Arm]] = {}

    def choose(
        self,
        money: Money,
        day: date,
        tried: Iterable[str] = (),
        knowing: Collection[str] | None = None,
    ) -> Choice:
        """Choose a provider that was not tried, among those that know the card (None: all do)."""
        left = [
            name
            for name in self._providers
            if name not in set(tried) and (knowing is None or name in knowing)
        ]
        candidates = [
            Candidate(
                name,
                self._limits.get(name, Limits()),
                cost_minor(name, money, day),
                self._providers[name].is_open,
            )
            for name in left
        ]
        return choose(
            candidates, METHOD, money, self._arms.get(segment_of(METHOD, money), {}), self._chance
        )

    def learn(self, outcomes: Iterable[RouteRow]) -> None:
        """Add outcomes of this process."""
        for one in outcomes:
            arms = self._arms.get(one.segment, {})
            self._arms[one.segment] = learn(arms, one.provider, is_success=one.is_success)

    def replace(self, arms: Mapping[str, Mapping[str, Arm]]) -> None:
        """Take over what all instances have learned."""
        self._arms = {segment: dict(one) for segment, one in arms.items()}
