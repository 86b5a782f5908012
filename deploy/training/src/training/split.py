"""Which payments a model is trained on, and which it is judged by.

Source: Le Borgne et al., chapter 5: by time, with a delay between both, as long as it takes until
frauds are known, and without the customers whose fraud would be known by the day of the test.
Nothing else may look at the days of the test.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fraud.domain.features import DELAY_DAYS
from training.generator import Payments

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Period:
    """Days of one training and of its test."""

    trained_until: int
    """The first day that is not trained on."""
    train_days: int = 7
    test_days: int = 7

    @property
    def trained(self) -> range:
        """The days of the training."""
        return range(self.trained_until - self.train_days, self.trained_until)

    @property
    def tested(self) -> range:
        """The days of the test."""
        first = self.trained_until + DELAY_DAYS
        return range(first, first + self.test_days)

    def before(self) -> "Period":
        """Return the period whose test ends where this one's training ends: for calibration."""
        until = self.trained_until - DELAY_DAYS - self.test_days
        return Period(until, self.train_days, self.test_days)


@dataclass(frozen=True, slots=True)
class Split:
    """Rows of the training and of the test."""

    train: Rows
    test: Rows


def split_of(payments: Payments, period: Period) -> Split:
    """Return the rows of a period."""
    day = payments.day
    train = _rows(day, period.trained)
    return Split(train, np.concatenate([_tested(payments, period, one) for one in period.tested]))


def _tested(payments: Payments, period: Period, day: int) -> Rows:
    """Return a test day's rows without customers known as victims on that day."""
    # A day before `day - DELAY_DAYS`: what is known in the morning, as the book counts.
    known_until = day - DELAY_DAYS
    known = _rows(payments.day, range(period.trained.start, known_until))
    victims = np.unique(payments.customer[known[payments.is_fraud[known]]])
    rows = _rows(payments.day, range(day, day + 1))
    return rows[~np.isin(payments.customer[rows], victims)]


def _rows(day: Rows, days: range) -> Rows:
    """Return the rows of days in a row; payments are ordered by time."""
    first, behind = np.searchsorted(day, [days.start, days.stop])
    return np.arange(first, behind)
