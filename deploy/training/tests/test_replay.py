"""Training and serving make the same features: a log, all at once, and payment by payment."""

import numpy as np
import pytest

from fraud.domain.activity import MemoryActivity, features_of_rows
from fraud.domain.features import BUCKET_S, COLUMNS, FEATURES, Observed
from fraud.domain.history import Log, features_of_log
from training.generator import Payments, Size, generated
from training.storage import log_of

EVENTS = 100_000


@pytest.fixture(scope="module")
def log() -> Log:
    """The first 100,000 entries of a log: enough days for the longest window."""
    payments = generated(7, Size(customers=1_400, terminals=3_000, days=45))
    whole = log_of(payments)
    assert len(whole.at_s) >= EVENTS
    return Log(*(getattr(whole, name)[:EVENTS] for name in Log.__slots__))


def observed(log: Log, at: int) -> Observed:
    device = int(log.device[at])
    return Observed(
        int(log.at_s[at]),
        int(log.amount_usd_minor[at]),
        f"usr-{log.customer[at]}",
        f"acc-{log.payee[at]}",
        None if device < 0 else f"device-{device}",
    )


def replayed(log: Log):
    """Return features as a service makes them: each payment is scored, then counted."""
    activity, payments, rows = MemoryActivity(), [], []
    for at, reported in enumerate(log.reports.tolist()):
        payment = observed(log, at)
        if reported >= 0:
            activity.report(payment, int(log.at_s[at]) // BUCKET_S)
            continue
        payments.append(payment)
        rows.append(activity.row(payment))
        activity.pay(payment)
    return features_of_rows(payments, rows)


def test_100_000_events_give_the_same_features_to_the_bit(log):
    trained, served = features_of_log(log), replayed(log)

    assert trained.shape == served.shape
    assert (trained.view(np.uint32) == served.view(np.uint32)).all()
    # Every feature says something: none is the same for all payments.
    assert {name for name in FEATURES if len(np.unique(trained[:, COLUMNS[name]])) < 2} == set()


def test_a_payments_features_are_those_of_one_row_and_of_many(log):
    """Serving makes a row, training a million: rounding must not depend on the number."""
    payments = [observed(log, at) for at in range(500) if log.reports[at] < 0]
    activity = MemoryActivity()
    for payment in payments:
        activity.pay(payment)
    rows = [activity.row(payment) for payment in payments]

    together = features_of_rows(payments, rows)
    alone = [features_of_rows([one], [row])[0] for one, row in zip(payments, rows, strict=True)]

    assert (together.view(np.uint32) == np.array(alone).view(np.uint32)).all()


def test_nothing_of_later_entries_is_in_a_feature(log):
    half = EVENTS // 2
    first = Log(*(getattr(log, name)[:half] for name in Log.__slots__))

    whole, part = features_of_log(log), features_of_log(first)

    assert (whole[: len(part)] == part).all()


def test_a_report_counts_when_it_comes_and_not_before():
    fields = {name: np.zeros(3, dtype=np.int64) for name in Payments.__dataclass_fields__}
    payments = Payments(**fields)
    payments.at_s[:] = 1_767_225_600 + np.array([0, 3, 8]) * 86_400
    payments.amount_usd_minor[:] = 100
    payments.scenario[0] = 2

    features = features_of_log(log_of(payments))

    # Known after seven days: on day 3 not yet, on day 8 as one of one payment.
    assert features[:, COLUMNS["payee_risk_30d"]].tolist() == [0.0, 0.0, 1.0]
