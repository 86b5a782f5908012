"""Whole numbers of features, kept up payment by payment: the memory twin of the tables."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from fraud.domain.features import (
    UNKNOWN,
    WINDOWS,
    Counts,
    Features,
    Kind,
    Measure,
    Observed,
    features_of,
)

_BOUNDS = [
    (
        window.kind,
        window.measure,
        window.span.first(0),
        window.span.last(0) if window.span.lag_days else None,
    )
    for window in WINDOWS
]
"""Of each whole number: its first and last bucket, from the payment's on. None: what is known now
counts, also where it is a moment younger than the payment."""


@dataclass(slots=True)
class _Key:
    """The buckets of one key in the order of time, with sums of all before and in each."""

    buckets: list[int] = field(default_factory=list)
    sums: dict[Measure, list[int]] = field(
        default_factory=lambda: {"payments": [0], "amount_minor": [0], "reports": [0]}
    )

    def add(self, bucket: int, changes: Mapping[Measure, int]) -> None:
        """Add to a bucket. Raises ValueError where it is older than the last one."""
        if self.buckets and bucket < self.buckets[-1]:
            raise ValueError("activity must come in the order of time")
        if not self.buckets or bucket > self.buckets[-1]:
            self.buckets.append(bucket)
            for sums in self.sums.values():
                sums.append(sums[-1])
        for measure, change in changes.items():
            self.sums[measure][-1] += change

    def between(self, measure: Measure, first: int, last: int | None) -> int:
        """Return what some buckets add up to."""
        behind = len(self.buckets) if last is None else bisect_right(self.buckets, last)
        sums = self.sums[measure]
        return sums[behind] - sums[min(bisect_left(self.buckets, first), behind)]


def features_of_rows(payments: Sequence[Observed], rows: Sequence[Sequence[int]]) -> Features:
    """Return the features of payments whose whole numbers are known."""
    counts: Counts = np.array(rows, dtype=np.int64)
    at_s = np.array([one.at_s for one in payments], dtype=np.int64)
    amounts = np.array([one.amount_usd_minor for one in payments], dtype=np.int64)
    return features_of(counts, at_s, amounts)


@dataclass
class MemoryActivity:
    """Buckets in memory; payments and reports must come in the order of time."""

    _keys: dict[tuple[Kind, str], _Key] = field(default_factory=lambda: defaultdict(_Key))

    def row(self, payment: Observed) -> list[int]:
        """Return a payment's whole numbers."""
        seen = {kind: self._keys.get((kind, key), _Key()) for kind, key in payment.keys().items()}
        bucket = payment.bucket
        return [
            seen[kind].between(measure, bucket + first, None if last is None else bucket + last)
            if kind in seen
            else int(UNKNOWN)
            for kind, measure, first, last in _BOUNDS
        ]

    def pay(self, payment: Observed) -> None:
        """Count a confirmed payment."""
        changes: dict[Measure, int] = {"payments": 1, "amount_minor": payment.amount_usd_minor}
        for name in payment.keys().items():
            self._keys[name].add(payment.bucket, changes)

    def report(self, payment: Observed, bucket: int) -> None:
        """Count a report of a payment, in the bucket in which it came."""
        for name in payment.keys().items():
            self._keys[name].add(bucket, {"reports": 1})
