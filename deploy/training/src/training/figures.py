"""How good scores are: average precision, Card Precision@100, AUC, calibration."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

Scores = NDArray[np.float64]
CARDS = 100
T_95 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262}
"""Student's t, two-sided 95 per cent, by the number of values."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Test payments with their truth."""

    day: NDArray[np.int64]
    customer: NDArray[np.int64]
    is_fraud: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Figures:
    """What a model reaches on one test."""

    average_precision: float
    card_precision_100: float
    auc_roc: float
    brier: float
    expected_to_found: float
    """Expected frauds by the scores, for one that there was."""


def figures_of(judged: Judged, scores: Scores) -> Figures:
    """Return the figures of scores."""
    truth = judged.is_fraud
    return Figures(
        float(average_precision_score(truth, scores)),
        card_precision(judged, scores),
        float(roc_auc_score(truth, scores)),
        float(np.mean((scores - truth) ** 2)),
        float(scores.sum() / max(truth.sum(), 1)),
    )


def card_precision(judged: Judged, scores: Scores, cards: int = CARDS) -> float:
    """Return the share of victims among the customers with the highest scores, a day's mean.

    A victim that was found on one day is not looked for on the next ones. Source: the book's
    `card_precision_top_k`, with `remove_detected_compromised_cards`.
    """
    found: set[int] = set()
    shares = []
    for day in np.unique(judged.day):
        there = (judged.day == day) & ~np.isin(judged.customer, list(found))
        top = _top(judged.customer[there], scores[there], cards)
        victims = set(judged.customer[there & judged.is_fraud].tolist())
        shares.append(len(victims & top) / cards)
        found |= victims & top
    return mean(shares)


def _top(customers: NDArray[np.int64], scores: Scores, cards: int) -> set[int]:
    order = np.argsort(-scores, kind="stable")
    _, first = np.unique(customers[order], return_index=True)
    return set(customers[order][np.sort(first)[:cards]].tolist())


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return mean and half width of the 95 per cent interval, over seeds."""
    if len(values) < 2:
        return values[0], float("nan")
    return mean(values), T_95[len(values)] * stdev(values) / len(values) ** 0.5


def curve(truth: NDArray[np.bool_], scores: Scores) -> tuple[Scores, Scores]:
    """Return recall and precision at each threshold, the highest first."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(truth[order])
    return hits / max(hits[-1], 1), hits / np.arange(1, len(hits) + 1)


def reliability(
    truth: NDArray[np.bool_], scores: Scores, bins: int = 12
) -> list[tuple[float, float, int]]:
    """Return mean score, share of frauds and payments of bins that are even in the log-odds."""
    edges = 1 / (1 + np.exp(-np.linspace(-7, 4, bins - 1)))
    where = np.digitize(scores, edges)
    return [
        (float(scores[there].mean()), float(truth[there].mean()), int(there.sum()))
        for number in range(bins)
        if (there := where == number).any()
    ]
