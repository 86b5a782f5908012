"""The features of a payment: one definition, for training and for serving.

A feature is made of whole numbers alone: counts and sums over windows of buckets. Both ways of
counting (`history` from a log, the tables of the service) give the same whole numbers, and
`features_of` makes the features of both, by operations that IEEE 754 rounds in one way only.
Source of the windows: Le Borgne et al., Reproducible Machine Learning for Credit Card Fraud
Detection, chapter 3.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

FEATURES_VERSION = 1
"""Of the definition: a model that was trained on another one is not loaded."""
BUCKET_S = 6 * 3600
BUCKETS_A_DAY = 86_400 // BUCKET_S
DELAY_DAYS = 7
"""After a payment, until its fraud is usually known. Source: the same book."""
UNKNOWN = -1.0
"""The value of a feature of a device that is not known."""
FIRST_SATURDAY_S = 2 * 86_400
"""From 1970-01-01, a Thursday."""
WEEK_S = 7 * 86_400
LAST_NIGHT_HOUR = 6
CENTS_A_DOLLAR = 100

Kind = Literal["customer", "payee", "device", "customer_payee", "customer_device"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Measure = Literal["payments", "amount_minor", "reports"]
Counts = NDArray[np.int64]
Features = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Observed:
    """A payment as the features see it."""

    at_s: int
    """Seconds since 1970, UTC."""
    amount_usd_minor: int
    customer: str
    payee: str
    device: str | None
    """None: not known."""

    @property
    def bucket(self) -> int:
        """The bucket that the payment is in."""
        return self.at_s // BUCKET_S

    def keys(self) -> dict[Kind, str]:
        """Return what the payment counts for, by kind; nothing of a device that is not known."""
        found: dict[Kind, str] = {
            "customer": self.customer,
            "payee": self.payee,
            "customer_payee": f"{self.customer}\x1f{self.payee}",
        }
        if self.device is not None:
            found["device"] = self.device
            found["customer_device"] = f"{self.customer}\x1f{self.device}"
        return found


@dataclass(frozen=True, slots=True)
class Span:
    """Buckets before a payment: `days` of them, that end `lag_days` before it."""

    days: int
    lag_days: int = 0

    def first(self, bucket: int) -> int:
        """Return the first bucket of a payment's span."""
        return bucket - BUCKETS_A_DAY * (self.days + self.lag_days) + 1

    def last(self, bucket: int) -> int:
        """Return the last bucket of a payment's span."""
        return bucket - BUCKETS_A_DAY * self.lag_days


@dataclass(frozen=True, slots=True)
class Window:
    """A whole number that features are made of."""

    kind: Kind
    measure: Measure
    span: Span


SHORT, WEEK, MONTH = Span(1), Span(7), Span(30)
SPANS = (SHORT, WEEK, MONTH)
DELAYED = tuple(Span(one.days, DELAY_DAYS) for one in SPANS)
"""The payments whose frauds the reports of `SPANS` are about."""
OLD = Span(9, 21)
"""Reports of three to four weeks ago: of a campaign that may be over."""

WINDOWS: tuple[Window, ...] = (
    *(Window("customer", "payments", span) for span in SPANS),
    *(Window("customer", "amount_minor", span) for span in SPANS),
    *(Window("payee", "payments", span) for span in SPANS),
    *(Window("payee", "reports", span) for span in SPANS),
    *(Window("payee", "payments", span) for span in DELAYED),
    Window("payee", "reports", OLD),
    Window("device", "payments", SHORT),
    Window("device", "payments", MONTH),
    Window("device", "reports", MONTH),
    Window("customer_payee", "payments", MONTH),
    Window("customer_device", "payments", MONTH),
)
INDEX = {window: number for number, window in enumerate(WINDOWS)}

GROUPS: dict[str, tuple[str, ...]] = {
    "amount": ("amount",),
    "time": ("hour", "weekend", "night"),
    "customer_activity": (
        "customer_payments_1d", "customer_payments_7d", "customer_payments_30d",
        "customer_mean_1d", "customer_mean_7d", "customer_mean_30d",
    ),
    "unusual_amount": ("amount_to_mean",),
    "payee_activity": ("payee_payments_1d", "payee_payments_7d", "payee_payments_30d"),
    "payee_reported": (
        "payee_risk_1d", "payee_risk_7d", "payee_risk_30d", "payee_reports_old",
    ),
    "device": ("device_payments_1d", "device_payments_30d", "device_reports_30d"),
    "new_payee": ("customer_payee_30d",),
    "new_device": ("customer_device_30d",),
}  # fmt: skip
"""The features, by the reason that a person reads."""
FEATURES: tuple[str, ...] = tuple(name for names in GROUPS.values() for name in names)
COLUMNS = {name: number for number, name in enumerate(FEATURES)}


def features_of(counts: Counts, at_s: NDArray[np.int64], amount_minor: Counts) -> Features:
    """Return the features of payments, a row each, from their whole numbers (see `WINDOWS`)."""
    second = at_s % 86_400
    columns = {
        "amount": amount_minor / CENTS_A_DOLLAR,
        "hour": second / 3600,
        "weekend": (at_s - FIRST_SATURDAY_S) % WEEK_S < 2 * 86_400,
        "night": second <= LAST_NIGHT_HOUR * 3600,
        **_of_customers(counts, amount_minor),
        **_of_payees(counts),
        **_of_devices(counts),
    }
    return np.column_stack([columns[name] for name in FEATURES]).astype(np.float32)


def _count(counts: Counts, kind: Kind, measure: Measure, span: Span) -> Counts:
    return counts[:, INDEX[Window(kind, measure, span)]]


def _ratio(above: Counts, below: Counts) -> NDArray[np.float64]:
    """Return a ratio; 0 where there is nothing below."""
    known = below > 0
    return np.where(known, above / np.where(known, below, 1), 0.0)


def _of_customers(counts: Counts, amount_minor: Counts) -> dict[str, NDArray[np.float64]]:
    found: dict[str, NDArray[np.float64]] = {}
    for span in SPANS:
        paid = _count(counts, "customer", "payments", span)
        sums = _count(counts, "customer", "amount_minor", span)
        found[f"customer_payments_{span.days}d"] = paid.astype(np.float64)
        found[f"customer_mean_{span.days}d"] = _ratio(sums, paid * CENTS_A_DOLLAR)
    sums, paid = (_count(counts, "customer", one, MONTH) for one in ("amount_minor", "payments"))
    found["amount_to_mean"] = _ratio(amount_minor * paid, sums)
    found["customer_payee_30d"] = _count(counts, "customer_payee", "payments", MONTH).astype(
        np.float64
    )
    return found


def _of_payees(counts: Counts) -> dict[str, NDArray[np.float64]]:
    found: dict[str, NDArray[np.float64]] = {}
    for span, delayed in zip(SPANS, DELAYED, strict=True):
        reports = _count(counts, "payee", "reports", span)
        before = _count(counts, "payee", "payments", delayed)
        found[f"payee_payments_{span.days}d"] = _count(counts, "payee", "payments", span).astype(
            np.float64
        )
        # A report without a payment in the delayed window counts as one of one.
        found[f"payee_risk_{span.days}d"] = _ratio(reports, np.maximum(before, reports))
    found["payee_reports_old"] = _count(counts, "payee", "reports", OLD).astype(np.float64)
    return found


def _of_devices(counts: Counts) -> dict[str, NDArray[np.float64]]:
    """Return the columns; whole numbers below 0 stand for a device that is not known."""
    columns: Sequence[tuple[str, Kind, Measure, Span]] = (
        ("device_payments_1d", "device", "payments", SHORT),
        ("device_payments_30d", "device", "payments", MONTH),
        ("device_reports_30d", "device", "reports", MONTH),
        ("customer_device_30d", "customer_device", "payments", MONTH),
    )
    return {
        name: np.maximum(_count(counts, kind, measure, span), int(UNKNOWN)).astype(np.float64)
        for name, kind, measure, span in columns
    }
