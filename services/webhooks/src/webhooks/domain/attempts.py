"""What follows from an attempt: for the delivery its next time, for the endpoint its lane."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

RETRY_AFTER = (
    timedelta(seconds=5),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
)
"""After the first, second, … failure; the last one again and again. Source: Standard Webhooks."""
RETRY_WITHIN = timedelta(hours=24)
JITTER = 0.2
"""Share by which a wait is longer at most, so that failures at one moment are retried apart."""
FAILING_AT_MOST = timedelta(days=3)
"""Then an endpoint that never succeeded meanwhile is switched off."""
PAUSE_FIRST, PAUSE_MOST = timedelta(seconds=5), timedelta(minutes=5)
FAST_MS = 1000
"""An endpoint whose last call took longer shares the slow lanes."""
FAST_WIDTH, SLOW_WIDTH = 4, 1
"""Calls of one endpoint at once."""
GONE = 410
_DOUBLINGS = 10


class Status(StrEnum):
    """Of a delivery."""

    PENDING = "PENDING"
    DELIVERED = "DELIVERED"
    FAILED = "FAILED"
    """Parked: the owner may have it sent again."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """The result of one call."""

    took_ms: int
    status: int | None = None
    """Of the response; None where there was none."""
    reason: str | None = None
    """Why it has failed; None for a success."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """The progress of one message."""

    status: Status
    tries: int
    due_at: datetime | None
    retry_until: datetime


@dataclass(frozen=True, slots=True)
class Health:
    """How an endpoint's last calls went."""

    is_on: bool = True
    off_reason: Literal["gone", "failing", "owner"] | None = None
    failures: int = 0
    failing_since: datetime | None = None
    paused_until: datetime | None = None
    is_fast: bool = False
    """Whether it has lanes of its own width; a new endpoint has to earn it."""


def after_attempt(delivery: Delivery, attempt: Attempt, now: datetime, jitter: float) -> Delivery:
    """Return the delivery after a call; `jitter` is from 0 to 1."""
    tries = delivery.tries + 1
    if attempt.reason is None:
        return replace(delivery, status=Status.DELIVERED, tries=tries, due_at=None)
    if now >= delivery.retry_until or attempt.status == GONE:
        return replace(delivery, status=Status.FAILED, tries=tries, due_at=None)
    wait = RETRY_AFTER[min(tries, len(RETRY_AFTER)) - 1] * (1 + JITTER * jitter)
    return replace(delivery, tries=tries, due_at=min(now + wait, delivery.retry_until))


def after_attempts(health: Health, attempts: Iterable[Attempt], now: datetime) -> Health:
    """Return an endpoint's health after calls; nothing is switched on by a success."""
    for attempt in attempts:
        health = _after(health, attempt, now)
    return health


def _after(health: Health, attempt: Attempt, now: datetime) -> Health:
    if attempt.reason is None:
        is_fast = attempt.took_ms < FAST_MS
        return replace(health, failures=0, failing_since=None, paused_until=None, is_fast=is_fast)
    since, failures = health.failing_since or now, health.failures + 1
    pause = min(PAUSE_FIRST * 2 ** min(failures - 1, _DOUBLINGS), PAUSE_MOST)
    failed = replace(
        health, failures=failures, failing_since=since, paused_until=now + pause, is_fast=False
    )
    if not health.is_on:
        return failed
    if attempt.status == GONE:
        return replace(failed, is_on=False, off_reason="gone")
    if now - since >= FAILING_AT_MOST:
        return replace(failed, is_on=False, off_reason="failing")
    return failed


def resumed() -> Health:
    """Return the health of an endpoint that its owner switches on."""
    return Health()
