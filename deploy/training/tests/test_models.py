"""Models as the service runs them give what the libraries give; figures; what is shipped."""

import lightgbm
import numpy as np
import pytest
import xgboost
from sklearn.ensemble import IsolationForest

from fraud.domain.features import COLUMNS, FEATURES
from fraud.domain.scoring import Card, Scorer, bins_of
from fraud.settings import SHIPPED
from fraud.store import load_scorers
from training.figures import Judged, card_precision, figures_of, interval
from training.forests import of_isolation, of_lightgbm, of_xgboost, rounded_down
from training.generator import SMALL, generated
from training.models import MONOTONE, RISING, blended, scored
from training.packing import packed
from training.storage import digest, read, write

ROWS = 4_000


@pytest.fixture(scope="module")
def features():
    """Numbers with many ties, so that thresholds are met exactly."""
    rng = np.random.default_rng(3)
    shape = (ROWS, len(FEATURES))
    ties, others = rng.integers(-1, 6, shape), rng.normal(size=shape)
    return np.where(rng.random(shape) < 0.5, ties, others).astype(np.float32)


@pytest.fixture(scope="module")
def truth(features):
    rng = np.random.default_rng(4)
    return (features[:, 0] + features[:, 5] + rng.normal(size=ROWS)) > 4


def card():
    return Card(
        version="test-1",
        features_version=1,
        features=FEATURES,
        reference=(0.0,) * len(FEATURES),
        bins={},
        data_sha256="0" * 8,
        code_version="x",
        figures={},
    )


def log_odds(probability):
    return np.log(probability / (1 - probability))


def test_lightgbm_as_onnx_gives_lightgbms_scores(features, truth):
    parameters = {"objective": "binary", "verbosity": -1, "num_threads": 1, "use_missing": False}
    booster = lightgbm.train(parameters, lightgbm.Dataset(features, truth), 30)
    forest = of_lightgbm(booster)
    served = Scorer(packed([forest], [1.0], 0.0, len(FEATURES)), card())
    expected = booster.predict(features, raw_score=True)
    assert np.abs(scored(forest, features) - expected).max() < 1e-9
    assert np.abs(log_odds(served.probabilities(features)) - expected).max() < 1e-3


def test_xgboost_as_onnx_gives_xgboosts_scores(features, truth):
    parameters = {"objective": "binary:logistic", "max_depth": 4, "base_score": 0.2, "nthread": 1}
    matrix = xgboost.DMatrix(features, truth, nthread=1)
    booster = xgboost.train(parameters, matrix, 30)
    forest = of_xgboost(booster)
    served = Scorer(packed([forest], [1.0], 0.0, len(FEATURES)), card())
    expected = booster.predict(matrix, output_margin=True)
    assert np.abs(scored(forest, features) - expected).max() < 1e-5
    assert np.abs(log_odds(served.probabilities(features)) - expected).max() < 1e-3


def test_an_isolation_forest_adds_up_to_its_mean_depth(features):
    forest = IsolationForest(n_estimators=20, max_samples=64, random_state=1).fit(features)
    depth = scored(of_isolation(forest), features)
    # scikit-learn's score is 2 to the power of minus this depth by the mean of 64 samples.
    many = 64
    usual = 2 * (np.log(many - 1) + np.euler_gamma) - 2 * (many - 1) / many
    assert np.abs(2 ** (-depth / usual) + forest.score_samples(features)).max() < 1e-6


def test_a_blends_weights_are_in_the_order_of_its_learners(truth):
    rng = np.random.default_rng(5)
    found, noise = 2.0 * truth + rng.normal(size=ROWS), rng.normal(size=ROWS)
    last = blended(["lightgbm", "xgboost", "isolation"], [found, found, noise], truth)
    between = blended(["lightgbm", "isolation", "graph"], [found, noise, found], truth)
    first, second, third = last.weights
    assert between.weights == pytest.approx((first, third, second))
    assert first == second > 10 * abs(third)


@pytest.mark.parametrize("threshold", [0.1, -0.1, 1 / 3, 1e-40, 16_777_217.0, 0.5])
def test_a_rounded_threshold_decides_as_the_exact_one(threshold):
    rounded = np.float32(rounded_down(threshold))
    near = [np.nextafter(rounded, np.float32(-np.inf)), rounded]
    near.append(np.nextafter(rounded, np.float32(np.inf)))
    assert [one <= rounded for one in near] == [float(one) <= threshold for one in near]


def test_reports_of_fraud_never_lower_a_score():
    assert sum(MONOTONE) == len(RISING) == 1
    for scorer in load_scorers(SHIPPED).values():
        if "ensemble" in scorer.card.version:
            continue  # its isolation forest is bound by nothing
        rows = np.tile(np.array(scorer.card.reference, dtype=np.float32), (50, 1))
        for name in RISING:
            changed = rows.copy()
            changed[:, COLUMNS[name]] = np.linspace(0, 1 if "risk" in name else 30, 50)
            assert (np.diff(scorer.probabilities(changed)) >= -1e-7).all(), name


def test_a_victim_that_was_found_is_not_looked_for_again():
    judged = Judged(
        np.array([1, 1, 1, 2, 2, 2]),
        np.array([1, 2, 3, 1, 2, 3]),
        np.array([True, False, False, True, True, False]),
    )
    scores = np.array([0.9, 0.1, 0.2, 0.9, 0.8, 0.1])
    # Day 1: customer 1 of the top one. Day 2: without customer 1, customer 2.
    assert card_precision(judged, scores, cards=1) == 1.0
    assert card_precision(judged, 1 - scores, cards=1) == 0.0


def test_figures_know_a_perfect_and_a_useless_model():
    rng = np.random.default_rng(1)
    truth = rng.random(5_000) < 0.05
    judged = Judged(np.zeros(5_000, dtype=int), np.arange(5_000), truth)
    perfect, useless = figures_of(judged, truth * 1.0), figures_of(judged, rng.random(5_000))
    assert (perfect.average_precision, perfect.auc_roc, perfect.brier) == (1.0, 1.0, 0.0)
    assert useless.average_precision < 0.1
    assert interval([1.0, 2.0, 3.0])[0] == 2.0


def test_the_same_seed_gives_the_same_payments_through_a_file(tmp_path):
    first, second, other = generated(1, SMALL), generated(1, SMALL), generated(2, SMALL)
    write(first, tmp_path / "payments.parquet")
    assert digest(first) == digest(second) == digest(read(tmp_path / "payments.parquet"))
    assert digest(first) != digest(other)
    assert 0.004 < first.is_fraud.mean() < 0.02
    assert set(np.unique(first.scenario)) == {0, 1, 2, 3}


def test_bins_hold_the_whole_distribution(features):
    bins = bins_of(features[:, 0])
    assert abs(sum(bins.shares) - 1) < 1e-9
    assert len(bins.shares) == len(bins.edges) + 1
