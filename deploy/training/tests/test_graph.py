"""The graph: means by hand, and nothing of a training that came or was known later."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fraud.domain.features import FEATURES
from training.generator import DAY_S, START_S, Payments, Size, generated
from training.graph import Day, averaged, days_of, fresh_weights, graph_scores, log_odds, seen
from training.rounds import Material
from training.split import Period, split_of

PERIOD = Period(trained_until=40, train_days=4, test_days=2)


def test_a_nodes_mean_is_that_of_its_neighbours_by_their_payments():
    customer, payee, device = np.array([[0, 0, -1], [0, 0, -1], [0, 1, -1], [1, 1, 0], [1, 0, 0]]).T
    at_s = START_S + DAY_S * np.array([0, 0, 1, 1, 2])
    payments = Payments(at_s, np.full(5, 100), customer, payee, device, np.zeros(5, dtype=int))
    (day,) = days_of(payments, np.zeros((5, len(FEATURES))), np.array([4]))
    # Customers 0 and 1, payees 0 and 1, no device, device 0; the last payment is not known yet.
    numbers = jnp.array([[10.0], [20.0], [30.0], [40.0], [50.0], [60.0]])

    found = np.asarray(averaged(numbers, day))[:, 0]

    expected = [(30 + 30 + 40) / 3, (40 + 60) / 2, (10 + 10) / 2, (10 + 20) / 2, 0, 20]
    assert found == pytest.approx(expected)
    assert day.ends.tolist() == [[1, 2, 5]]


@pytest.fixture(scope="module")
def material() -> Material:
    """Few payments, with frauds on most days."""
    return Material.of(generated(5, Size(customers=250, terminals=120, days=60)))


def changed(payments: Payments, days: range, **columns: int) -> Payments:
    """Return payments whose columns are other ones on some days."""
    there = np.isin(payments.day, days)
    return replace(
        payments,
        **{name: np.where(there, to, getattr(payments, name)) for name, to in columns.items()},
    )


def test_nothing_after_the_training_or_known_too_late_is_in_its_scores(material):
    payments = material.payments
    rows = np.flatnonzero(payments.day == PERIOD.trained[-1])
    features = material.features / 1e4
    weights = fresh_weights(14, len(FEATURES), np.random.default_rng(1))

    def scores(of):
        with jax.disable_jit():
            return np.asarray(log_odds(weights, *days_of(of, features, rows)))

    later = changed(payments, range(40, 60), customer=0, terminal=0, device=0, scenario=2)
    reported_later = changed(payments, range(32, 60), scenario=2)
    earlier = changed(payments, range(30, 36), terminal=0)
    known = changed(payments, range(20, 28), scenario=2)
    assert scores(later) == pytest.approx(scores(payments), abs=1e-5)
    assert scores(reported_later) == pytest.approx(scores(payments), abs=1e-5)
    assert scores(earlier) != pytest.approx(scores(payments), abs=1e-3)
    assert scores(known) != pytest.approx(scores(payments), abs=1e-3)


def test_a_network_knows_no_more_than_it_may_see(material):
    rows = np.flatnonzero(material.payments.day == PERIOD.trained[-1])
    (found,) = days_of(material.payments, material.features / 1e4, rows)
    day = Day(*map(jnp.asarray, found))
    weights = fresh_weights(14, len(FEATURES), np.random.default_rng(1))
    neighbours = day._replace(share=day.share * 2, known=day.known.at[:, 7:].add(1))
    nodes = day._replace(known=day.known.at[:, :7].add(1))

    def is_changed(other, sight):
        with jax.disable_jit():
            pair = [np.asarray(log_odds(weights, seen(one, sight))) for one in (day, other)]
        return pair[0] != pytest.approx(pair[1], abs=1e-5)

    sights = ("neighbours", "nodes", "features")
    assert [is_changed(neighbours, one) for one in sights] == [True, False, False]
    assert [is_changed(nodes, one) for one in sights] == [True, True, False]


def test_scores_are_the_same_whatever_the_truth_of_the_test_is(material):
    payments, split = material.payments, split_of(material.payments, PERIOD)
    other = changed(payments, range(PERIOD.tested.start, 60), scenario=0)

    first, second = (
        graph_scores(one, material.features, split, seed=1) for one in (payments, other)
    )

    assert len(first) == len(split.test)
    assert first == pytest.approx(second, abs=1e-4)
    assert len(np.unique(first)) > len(first) / 2
