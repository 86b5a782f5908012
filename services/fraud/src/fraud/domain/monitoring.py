"""Whether a model still fits: drift of what it sees, and which of two scores better."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import log, sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fraud.domain.features import COLUMNS
from fraud.domain.scoring import Bins, shares

LEAST_SHARE = 1e-4
LEAST_SCORES = 200
"""Fewer say nothing about a distribution of ten bins."""
LEAST_EXPECTED = 10.0
"""Fewer expected frauds say nothing about calibration."""
MISSED = 0.05
"""How often a comparison may name the wrong model, however often somebody looks."""
TYPICAL_PAIRS = 10_000
"""For this number of payments the bound of a comparison is narrowest."""
LEAST_PAIRS = 500
MOVED, DRIFTED = 0.1, 0.25
"""Of the population stability index: from here on something, and much, has changed."""
Verdict = Literal["better", "worse", "undecided"]
Change = Literal["stable", "moved", "drifted"]


def psi(expected: Bins, values: NDArray[np.float32]) -> float:
    """Return the population stability index of values against a distribution.

    Source, of the bounds too: Siddiqi, Credit Risk Scorecards.
    """
    found = shares(values, expected.edges)
    pairs = zip(expected.shares, found, strict=True)
    bounded = [(max(before, LEAST_SHARE), max(now, LEAST_SHARE)) for before, now in pairs]
    return sum((now - before) * log(now / before) for before, now in bounded)


def change_of(index: float) -> Change:
    """Return what a population stability index says; the alert fires above `DRIFTED`."""
    if index > DRIFTED:
        return "drifted"
    return "moved" if index > MOVED else "stable"


def drift(
    bins: Mapping[str, Bins], features: NDArray[np.float32], probabilities: NDArray[np.float32]
) -> dict[str, float]:
    """Return the index of each feature and of the probability; nothing of too few scores."""
    if len(features) < LEAST_SCORES:
        return {}
    columns = {name: features[:, number] for name, number in COLUMNS.items()}
    return {name: psi(bins[name], columns[name]) for name in columns} | {
        "probability": psi(bins["probability"], probabilities)
    }


@dataclass(frozen=True, slots=True)
class Pairs:
    """Squared errors of two models over the same payments: the challenger's less the champion's."""

    count: int
    mean: float
    variance: float

    @property
    def half_width(self) -> float:
        """Half of an interval that holds at every look (Waudby-Smith et al. 2024, asymptotic)."""
        if self.count == 0:
            return float("inf")
        wanted = -2 * log(MISSED)
        mixing = (wanted + log(wanted) + 1) / TYPICAL_PAIRS
        grown = self.count * mixing + 1
        bound = 2 * grown / (self.count**2 * mixing) * log(sqrt(grown) / MISSED)
        return sqrt(self.variance * bound)

    @property
    def verdict(self) -> Verdict:
        """What the payments so far say of the challenger."""
        if self.count < LEAST_PAIRS or abs(self.mean) <= self.half_width:
            return "undecided"
        return "better" if self.mean < 0 else "worse"


def calibration(expected: float, found: int) -> float | None:
    """Return reported frauds for each expected one; None where too few were expected."""
    return found / expected if expected >= LEAST_EXPECTED else None
