"""The split: by time, with a delay, without known victims; nothing looks at the test."""

import inspect

import numpy as np
import pytest

from fraud.domain.features import DELAY_DAYS
from training import models, rounds
from training.generator import DAY_S, START_S, Payments, Size, generated
from training.rounds import Material, models_of
from training.split import Period, split_of

PERIOD = Period(trained_until=40, train_days=10, test_days=7)


def payments_of(rows):
    """Return payments of (day, customer, scenario)."""
    day, customer, scenario = np.array(rows, dtype=np.int64).T
    filler = np.zeros(len(rows), dtype=np.int64)
    return Payments(START_S + day * DAY_S, filler + 100, customer, filler, filler, scenario)


def test_the_days_are_those_of_the_book():
    book = Period(trained_until=122)
    assert (book.trained, book.tested) == (range(115, 122), range(129, 136))
    assert book.before().tested == book.trained


def test_training_delay_and_test_do_not_meet():
    payments = generated(3, Size(customers=200, terminals=300, days=60))
    split, day = split_of(payments, PERIOD), payments.day
    assert (day[split.train].min(), day[split.train].max()) == (30, 39)
    assert (day[split.test].min(), day[split.test].max()) == (47, 53)
    assert day[split.test].min() - day[split.train].max() > DELAY_DAYS


@pytest.mark.parametrize(
    ("fraud_day", "tested_days"),
    [
        pytest.param(29, [47, 48, 53], id="before the training: nobody removes it"),
        pytest.param(30, [], id="in the training"),
        pytest.param(39, [], id="on its last day"),
        pytest.param(40, [47], id="known one day after the test has begun"),
        pytest.param(45, [47, 48], id="known before the last day"),
        pytest.param(46, [47, 48, 53], id="known on the last day, too late"),
    ],
)
def test_a_victim_is_tested_until_its_fraud_is_known(fraud_day, tested_days):
    rows = [(0, 9, 0), (fraud_day, 1, 3), (47, 1, 0), (48, 1, 0), (53, 1, 0)]
    payments = payments_of(sorted(rows))
    found = payments.day[split_of(payments, PERIOD).test]
    assert sorted(set(found.tolist())) == tested_days


def test_models_are_the_same_whatever_the_truth_of_the_test_is():
    """Trained, blended and packed without a look at it: only the figures change."""
    payments = generated(5, Size(customers=250, terminals=120, days=60))
    material = Material.of(payments)
    rows = split_of(payments, PERIOD).test
    first = models_of(material, PERIOD, 1)
    scenario = payments.scenario.copy()
    scenario[payments.day >= PERIOD.tested.start] = 0
    scenario[rows[:20]] = 1
    other = Payments(
        payments.at_s,
        payments.amount_usd_minor,
        payments.customer,
        payments.terminal,
        payments.device,
        scenario,
    )

    second = models_of(Material(other, material.features), PERIOD, 1)

    for name, model in first.items():
        assert model.blend == second[name].blend
        assert model.forests == second[name].forests
        assert model.figures != second[name].figures


def test_the_number_of_rounds_is_fixed_not_chosen_by_a_test():
    sources = inspect.getsource(models) + inspect.getsource(rounds)
    assert "early_stopping" not in sources
    assert "valid_sets" not in sources
