"""Payments with frauds, made from a seed after a published description.

Source: Le Borgne et al., Reproducible Machine Learning for Credit Card Fraud Detection, chapter 3:
customers and terminals on a plane, three scenarios of fraud. Beyond it: amounts are those of
transfers (`AMOUNT_SCALE`), customers have devices, and a tenth of them joins later.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.spatial import KDTree

DAY_S = 86_400
START_S = 1_767_225_600
"""2026-01-01, UTC."""
AMOUNT_SCALE = 50
"""The book's customers spend 5 to 100 dollars on average, customers here 250 to 5,000."""
PLANE, RADIUS = 100.0, 5.0
HIGH_AMOUNT_USD_MINOR = 220 * AMOUNT_SCALE * 100
"""Scenario 1: every larger payment is a fraud."""
TERMINALS_A_DAY, TERMINAL_DAYS = 2 / 10_000, 28
"""Scenario 2: terminals compromised each day, as a share of all, and for how long."""
CUSTOMERS_A_DAY, CUSTOMER_DAYS = 3 / 5_000, 14
"""Scenario 3: customers whose credentials are stolen each day, and for how long."""
STOLEN_SHARE, STOLEN_TIMES = 1 / 3, 5
"""Of a victim's payments, and how many times their amount."""
JOIN_LATER = 0.1
UNKNOWN_DEVICE, SECOND_DEVICE, ATTACKER_DEVICE = 0.05, 0.15, 0.5
"""Shares: payments without a device, from a customer's second one, campaigns from another one."""

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Size:
    """How much is made. The default is the book's: 1.75 million payments."""

    customers: int = 5_250
    terminals: int = 10_000
    days: int = 183


SMALL = Size(customers=900, terminals=1_700, days=140)
"""Some 230,000 payments: for tests, and for development."""


@dataclass(frozen=True, slots=True)
class Payments:
    """Generated payments, ordered by time."""

    at_s: Integers
    amount_usd_minor: Integers
    customer: Integers
    terminal: Integers
    device: Integers
    """Below 0: not known."""
    scenario: Integers
    """0: genuine; 1 to 3: a fraud of that scenario."""

    @property
    def day(self) -> Integers:
        """Days since the first one."""
        return (self.at_s - START_S) // DAY_S

    def until(self, day: int) -> "Payments":
        """Return the payments before a day."""
        behind = int(np.searchsorted(self.day, day))
        return Payments(*(getattr(self, one.name)[:behind] for one in fields(self)))

    @property
    def is_fraud(self) -> NDArray[np.bool_]:
        """Which payments are frauds."""
        return self.scenario > 0


@dataclass(frozen=True, slots=True)
class _Customers:
    mean_usd_minor: Integers
    payments_a_day: NDArray[np.float64]
    joined_on: Integers
    first: Integers
    """Where a customer's terminals begin in `terminals`, and behind the last customer's."""
    terminals: Integers


def generated(seed: int, size: Size = Size()) -> Payments:
    """Return the payments of a seed."""
    rng = np.random.default_rng(seed)
    customers = _customers(rng, size)
    genuine = _genuine(rng, customers, size)
    return _stolen(rng, _compromised(rng, _high(genuine), size), size)


def _customers(rng: Generator, size: Size) -> _Customers:
    places = rng.uniform(0, PLANE, (size.customers, 2))
    terminals = KDTree(rng.uniform(0, PLANE, (size.terminals, 2)))
    near = terminals.query_ball_point(places, RADIUS)
    # A customer without a terminal near by goes to the nearest one.
    nearest = terminals.query(places)[1]
    lists = [found or [nearest[number]] for number, found in enumerate(near)]
    later = rng.random(size.customers) < JOIN_LATER
    return _Customers(
        mean_usd_minor=np.rint(rng.uniform(5, 100, size.customers) * AMOUNT_SCALE * 100).astype(
            int
        ),
        payments_a_day=rng.uniform(0, 4, size.customers),
        joined_on=np.where(later, rng.integers(0, size.days, size.customers), 0),
        first=np.cumsum([0, *map(len, lists)]),
        terminals=np.concatenate([np.array(one, dtype=np.int64) for one in lists]),
    )


def _genuine(rng: Generator, customers: _Customers, size: Size) -> Payments:
    days = np.arange(size.days)
    counts = rng.poisson(customers.payments_a_day[:, None], (size.customers, size.days))
    counts[days[None, :] < customers.joined_on[:, None]] = 0
    who, day = (index.ravel() for index in np.indices(counts.shape))
    who, day = np.repeat(who, counts.ravel()), np.repeat(day, counts.ravel())
    second = np.rint(rng.normal(DAY_S / 2, 20_000, len(who))).astype(np.int64)
    kept = (second > 0) & (second < DAY_S)
    who, at_s = who[kept], START_S + day[kept] * DAY_S + second[kept]
    order = np.argsort(at_s, kind="stable")
    who, at_s = who[order], at_s[order]
    return Payments(
        at_s,
        _amounts(rng, customers.mean_usd_minor[who]),
        who,
        _terminals(rng, customers, who),
        _devices(rng, who),
        np.zeros(len(who), dtype=np.int64),
    )


def _amounts(rng: Generator, means: Integers) -> Integers:
    drawn = rng.normal(means, means / 2)
    drawn = np.where(drawn < 0, rng.uniform(0, 2 * means), drawn)
    return np.maximum(np.rint(drawn).astype(np.int64), 1)


def _terminals(rng: Generator, customers: _Customers, who: Integers) -> Integers:
    first, behind = customers.first[who], customers.first[who + 1]
    return customers.terminals[rng.integers(first, behind)]


def _devices(rng: Generator, who: Integers) -> Integers:
    drawn = rng.random(len(who))
    device = 2 * who + (drawn < SECOND_DEVICE)
    return np.where(drawn > 1 - UNKNOWN_DEVICE, -1, device)


def _high(payments: Payments) -> Payments:
    payments.scenario[payments.amount_usd_minor > HIGH_AMOUNT_USD_MINOR] = 1
    return payments


def _compromised(rng: Generator, payments: Payments, size: Size) -> Payments:
    day = payments.day
    for start in range(size.days):
        drawn = rng.poisson(TERMINALS_A_DAY * size.terminals)
        terminals = rng.choice(size.terminals, min(drawn, size.terminals), replace=False)
        there = _between(day, start, TERMINAL_DAYS)
        there = there[np.isin(payments.terminal[there], terminals)]
        payments.scenario[there] = 2
    return payments


def _stolen(rng: Generator, payments: Payments, size: Size) -> Payments:
    day = payments.day
    for start in range(size.days):
        drawn = rng.poisson(CUSTOMERS_A_DAY * size.customers)
        for victim in rng.choice(size.customers, min(drawn, size.customers), replace=False):
            there = _between(day, start, CUSTOMER_DAYS)
            there = there[payments.customer[there] == victim]
            taken = rng.permutation(there)[: int(len(there) * STOLEN_SHARE)]
            payments.amount_usd_minor[taken] *= STOLEN_TIMES
            payments.scenario[taken] = 3
            if rng.random() < ATTACKER_DEVICE:
                payments.device[taken] = 2 * size.customers + start * size.customers + victim
    return payments


def _between(day: Integers, start: int, days: int) -> Integers:
    """Return the places of the payments of some days; payments are ordered by time."""
    first, behind = np.searchsorted(day, [start, start + days])
    return np.arange(first, behind)
