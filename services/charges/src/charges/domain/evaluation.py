"""What another routing policy would have achieved, estimated from the logged choices. Pure.

Each choice was drawn with a known probability (its propensity), so that its outcome stands for
those that another policy would have had, weighted by the ratio of the two probabilities.
Sources: Horvitz and Thompson 1952 (IPS), Swaminathan and Joachims 2015 (SNIPS), Dudík et al. 2011
(doubly robust), Kong 1992 (effective sample size).
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

LEAST_SHARE = 0.05
"""Of the effective sample size in the choices; below it the estimates say nothing."""
Z_95 = 1.959964
FOLDS = 2
SMOOTHING = 1.0
"""Successes and failures that a provider without outcomes is taken to have had, each."""


@dataclass(frozen=True, slots=True)
class Logged:
    """A first choice with its outcome."""

    charge_id: UUID
    segment: str
    provider: str
    propensity: float
    eligible: tuple[str, ...]
    """The providers that might have been chosen."""
    is_success: bool


@dataclass(frozen=True, slots=True)
class TargetPolicy:
    """Shares of providers by segment; `otherwise` is for segments without shares."""

    otherwise: Mapping[str, float]
    segments: Mapping[str, Mapping[str, float]]

    def shares(self, logged: Logged) -> dict[str, float]:
        """Return the probability of each eligible provider; evenly where it names none of them."""
        wanted = self.segments.get(logged.segment, self.otherwise)
        found = {name: max(0.0, wanted.get(name, 0.0)) for name in logged.eligible}
        total = sum(found.values())
        if total <= 0:
            return dict.fromkeys(logged.eligible, 1 / len(logged.eligible))
        return {name: share / total for name, share in found.items()}


@dataclass(frozen=True, slots=True)
class Estimate:
    """A share of successes, with the half of its 95 % interval."""

    value: float
    half_width: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All estimates; None where the choices say too little of the policy."""

    choices: int
    effective: float
    """The effective sample size: as many choices of the policy's own would say as much."""
    logged: Estimate
    """What was achieved."""
    ips: Estimate | None
    snips: Estimate | None
    doubly_robust: Estimate | None

    @property
    def share(self) -> float:
        """The effective sample size as a share of the choices."""
        return self.effective / self.choices if self.choices else 0.0


def evaluate(choices: Sequence[Logged], policy: TargetPolicy) -> Evaluation:
    """Return the estimates of a policy; refuses, by None, below LEAST_SHARE."""
    rewards = [float(one.is_success) for one in choices]
    shares = [policy.shares(one) for one in choices]
    weights = [
        share.get(one.provider, 0.0) / one.propensity
        for one, share in zip(choices, shares, strict=True)
    ]
    squares = sum(weight * weight for weight in weights)
    effective = sum(weights) ** 2 / squares if squares else 0.0
    logged = _mean(rewards)
    if not choices or effective < LEAST_SHARE * len(choices):
        return Evaluation(len(choices), effective, logged, None, None, None)
    products = [weight * reward for weight, reward in zip(weights, rewards, strict=True)]
    return Evaluation(
        len(choices),
        effective,
        logged,
        _mean(products),
        _snips(weights, rewards),
        _mean(_doubly_robust(choices, shares, weights, rewards)),
    )


def _mean(values: Sequence[float]) -> Estimate:
    count = len(values)
    if not count:
        return Estimate(0.0, math.inf)
    mean = sum(values) / count
    variance = sum((value - mean) ** 2 for value in values) / max(1, count - 1)
    return Estimate(mean, Z_95 * math.sqrt(variance / count))


def _snips(weights: Sequence[float], rewards: Sequence[float]) -> Estimate:
    total = sum(weights)
    pairs = list(zip(weights, rewards, strict=True))
    value = sum(weight * reward for weight, reward in pairs) / total
    squares = sum((weight * (reward - value)) ** 2 for weight, reward in pairs)
    return Estimate(value, Z_95 * math.sqrt(squares) / total)


def _doubly_robust(
    choices: Sequence[Logged],
    shares: Sequence[Mapping[str, float]],
    weights: Sequence[float],
    rewards: Sequence[float],
) -> list[float]:
    """Return each choice's expected outcome by a model, corrected by what was seen.

    The model of a choice is fitted without its own half of the choices: a model that has seen an
    outcome would agree with it.
    """
    models = [_model(one for one in choices if _fold(one) != fold) for fold in range(FOLDS)]
    found = []
    for one, share, weight, reward in zip(choices, shares, weights, rewards, strict=True):
        model = models[_fold(one)]
        expected = sum(part * model(one.segment, name) for name, part in share.items())
        found.append(expected + weight * (reward - model(one.segment, one.provider)))
    return found


def _fold(one: Logged) -> int:
    return one.charge_id.int % FOLDS


class _model:  # noqa: N801 - it is used as a function
    """The share of successes of a provider in a segment; of all segments, where it has none."""

    def __init__(self, choices: Iterable[Logged]) -> None:
        self._counts: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
        for one in choices:
            for key in ((one.segment, one.provider), ("", one.provider)):
                self._counts[key][0] += one.is_success
                self._counts[key][1] += 1

    def __call__(self, segment: str, provider: str) -> float:
        known = self._counts.get((segment, provider)) or self._counts.get(("", provider), [0, 0])
        return (known[0] + SMOOTHING) / (known[1] + 2 * SMOOTHING)
