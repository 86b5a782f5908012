"""What is trained: gradient boosting twice, a forest of the unusual, and blends of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import lightgbm
import numpy as np
import xgboost
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LogisticRegression

from fraud.domain.features import FEATURES, Features
from training.forests import Forest, of_isolation, of_lightgbm, of_xgboost

Scores = NDArray[np.float64]
Truth = NDArray[np.bool_]
RISING = frozenset({"device_reports_30d"})
"""More of these never lowers a score. Not the risk of payees: reports go on for a week after a
campaign has ended, and with that constraint the average precision fell from 0.63 to 0.55."""
MONOTONE = [int(name in RISING) for name in FEATURES]
ROUNDS, LEAVES, RATE = 150, 12, 0.05
"""Chosen on days 101 to 121 of two seeds, never on the days of the test."""
NOVELTY_TREES, NOVELTY_SAMPLES = 50, 128
LEARNERS = ("lightgbm", "xgboost", "isolation")
MEMBERS: Mapping[str, tuple[str, ...]] = {
    "lightgbm": ("lightgbm",),
    "xgboost": ("xgboost",),
    "ensemble": LEARNERS,
}
"""The models that are judged, by the learners that they blend."""


def learned(name: str, features: Features, truth: Truth, seed: int) -> Forest:
    """Train a learner."""
    match name:
        case "lightgbm":
            return of_lightgbm(_lightgbm(features, truth, seed))
        case "xgboost":
            return of_xgboost(_xgboost(features, truth, seed))
        case _:
            return of_isolation(_isolation(features, seed))


def _lightgbm(features: Features, truth: Truth, seed: int) -> lightgbm.Booster:
    parameters = {
        "objective": "binary", "num_leaves": LEAVES, "learning_rate": RATE, "min_data_in_leaf": 40,
        "feature_fraction": 0.6, "bagging_fraction": 0.8, "bagging_freq": 1, "lambda_l2": 5.0,
        "monotone_constraints": MONOTONE, "use_missing": False, "seed": seed, "num_threads": 1,
        "deterministic": True, "force_row_wise": True, "verbosity": -1,
    }  # fmt: skip
    return lightgbm.train(parameters, lightgbm.Dataset(features, truth), ROUNDS)


def _xgboost(features: Features, truth: Truth, seed: int) -> xgboost.Booster:
    parameters = {
        "objective": "binary:logistic", "max_depth": 4, "eta": RATE, "min_child_weight": 2,
        "subsample": 0.8, "colsample_bytree": 0.6, "lambda": 5.0, "tree_method": "hist",
        "monotone_constraints": str(tuple(MONOTONE)), "seed": seed, "nthread": 1,
        "base_score": float(np.clip(truth.mean(), 1e-6, 0.5)),
    }  # fmt: skip
    return xgboost.train(parameters, xgboost.DMatrix(features, truth, nthread=1), ROUNDS)


def _isolation(features: Features, seed: int) -> IsolationForest:
    forest = IsolationForest(
        n_estimators=NOVELTY_TREES, max_samples=NOVELTY_SAMPLES, random_state=seed
    )
    return forest.fit(features)


def scored(forest: Forest, features: Features) -> Scores:
    """Return a forest's sums, walking all rows down each tree at once."""
    total = np.full(len(features), forest.base)
    rows = np.arange(len(features))
    for tree in forest.trees:
        feature, threshold = np.array(tree.feature), np.array(tree.threshold, dtype=np.float32)
        yes, no, node = np.array(tree.yes), np.array(tree.no), np.zeros(len(features), dtype=int)
        while (there := feature[node] >= 0).any():
            at, known = node[there], features[rows[there], feature[node[there]]]
            left = known < threshold[at] if forest.is_strict else known <= threshold[at]
            node[there] = np.where(left, yes[at], no[at])
        total += np.array(tree.value)[node]
    return total


@dataclass(frozen=True, slots=True)
class Blend:
    """Weights of learners' scores, and a bias: together calibrated log-odds."""

    weights: tuple[float, ...]
    bias: float

    def probabilities(self, scores: Sequence[Scores]) -> Scores:
        """Return probabilities of fraud."""
        log_odds = sum(weight * one for weight, one in zip(self.weights, scores, strict=True))
        return 1 / (1 + np.exp(-(log_odds + self.bias)))


def blended(names: Sequence[str], scores: Sequence[Scores], truth: Truth) -> Blend:
    """Fit a blend to scores that the learners gave before the test: a mean, and how unusual.

    Boosters and networks count alike; the isolation forest has a weight of its own.
    """
    boosters = [one for name, one in zip(names, scores, strict=True) if name != "isolation"]
    unusual = [one for name, one in zip(names, scores, strict=True) if name == "isolation"]
    columns = np.column_stack([np.mean(boosters, axis=0), *unusual])
    fitted = LogisticRegression(C=100.0, max_iter=1000).fit(columns, truth)
    of_others, of_forest = fitted.coef_[0][0] / len(boosters), fitted.coef_[0][-1]
    weights = [of_forest if name == "isolation" else of_others for name in names]
    return Blend(tuple(float(one) for one in weights), float(fitted.intercept_[0]))
