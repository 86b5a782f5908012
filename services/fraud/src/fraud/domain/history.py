"""Whole numbers of features from a log, all payments at once: what training uses."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fraud.domain.features import (
    BUCKET_S,
    KINDS,
    UNKNOWN,
    WINDOWS,
    Counts,
    Features,
    Kind,
    Window,
    features_of,
)

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Log:
    """Payments and reports of fraud, in the order in which they came to be known.

    An entry is a payment, or the report of an earlier one. Customers, payees and devices are
    numbers; a device below 0 is not known.
    """

    at_s: Integers
    reports: Integers
    """The index of the payment that an entry reports; below 0: the entry is a payment."""
    amount_usd_minor: Integers
    customer: Integers
    payee: Integers
    device: Integers

    @property
    def is_payment(self) -> NDArray[np.bool_]:
        """Which entries are payments."""
        return self.reports < 0

    def keys(self, kind: Kind) -> Integers:
        """Return the key of each entry, below 0 where it has none."""
        match kind:
            case "customer" | "payee" | "device":
                found: Integers = getattr(self, kind)
                return found
            case "customer_payee":
                return _pair(self.customer, self.payee)
            case "customer_device":
                return _pair(self.customer, self.device)


def _pair(first: Integers, second: Integers) -> Integers:
    return np.where(second < 0, -1, (first << 32) | second)


def features_of_log(log: Log) -> Features:
    """Return the features of each payment of a log, a row each in their order."""
    paid = log.is_payment
    return features_of(counts_of(log), log.at_s[paid], log.amount_usd_minor[paid])


def counts_of(log: Log) -> Counts:
    """Return the whole numbers of each payment: what had happened before it in the log."""
    counts = np.zeros((int(log.is_payment.sum()), len(WINDOWS)), dtype=np.int64)
    for kind in KINDS:
        counted = _Kind.in_log(log, kind)
        for number, window in enumerate(WINDOWS):
            if window.kind == kind:
                counts[:, number] = counted.of(window)
    return counts


@dataclass(frozen=True, slots=True)
class _Stream:
    """Entries of one sort, ordered by key and then by their place in the log."""

    by_place: Integers
    """Key and place as one number each."""
    by_bucket: Integers
    """Key and bucket as one number each, in the same order."""
    sums: dict[str, Integers]
    """Sums of the entries before, by measure."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """What is counted by one kind of key."""

    key: Integers
    place: Integers
    bucket: Integers
    payments: _Stream
    reports: _Stream

    @classmethod
    def in_log(cls, log: Log, kind: Kind) -> "_Kind":
        _, codes = np.unique(log.keys(kind), return_inverse=True)
        key = np.where(log.keys(kind) < 0, -1, codes.astype(np.int64))
        bucket, place = log.at_s // BUCKET_S, np.arange(len(key), dtype=np.int64)
        paid = log.is_payment
        streams = [_stream(key, bucket, log, mask & (key >= 0)) for mask in (paid, ~paid)]
        return cls(key[paid], place[paid], bucket[paid], *streams)

    def _of_known(self, window: Window) -> Integers:
        stream = self.reports if window.measure == "reports" else self.payments
        first = _joined(self.key, window.span.first(0) + self.bucket)
        start = np.searchsorted(stream.by_bucket, first, "left")
        if window.span.lag_days:
            last = _joined(self.key, window.span.last(0) + self.bucket)
            end = np.searchsorted(stream.by_bucket, last, "right")
        else:
            end = np.searchsorted(stream.by_place, _joined(self.key, self.place), "left")
        sums = stream.sums[window.measure]
        return sums[end] - sums[np.minimum(start, end)]

    def of(self, window: Window) -> Integers:
        return np.where(self.key < 0, int(UNKNOWN), self._of_known(window))


def _joined(key: Integers, number: Integers) -> Integers:
    return (key << 32) + number


def _stream(key: Integers, bucket: Integers, log: Log, mask: NDArray[np.bool_]) -> _Stream:
    place = np.flatnonzero(mask)
    order = place[np.argsort(key[place], kind="stable")]
    ones = np.arange(len(order) + 1, dtype=np.int64)
    amounts = np.concatenate(([0], np.cumsum(log.amount_usd_minor[order])))
    sums = {"payments": ones, "reports": ones, "amount_minor": amounts}
    return _Stream(_joined(key[order], order), _joined(key[order], bucket[order]), sums)
