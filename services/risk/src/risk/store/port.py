"""What risk asks of its tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from payment_schemas.ids import PaymentId
from risk.domain import Assessment, AssessmentRequest, History, Result

TABLE = "assessment"
LISTED = 100
"""Unfinished payments and violations that a check names at most."""
RESULT_COLUMNS = (
    "score", "level", "amount_usd_minor", "factors", "sanctions", "screenings", "kyc",
)  # fmt: skip
COUNTED = 10_000
"""Past it a check stops counting."""
OVERDUE = timedelta(seconds=60)
"""A question that waits so long past its end has no worker (I8)."""


@dataclass(frozen=True, slots=True)
class Learned:
    """A successful payment, as far as risk learns from it."""

    payment_id: PaymentId
    user_id: str
    payee: str
    country: str | None
    confirmed_at: datetime


@dataclass(frozen=True, slots=True)
class Window:
    """Which successful payments count as recent, and how many of them are told apart."""

    since: datetime
    at_most: int


class Assessments(Protocol):
    """Assessments and histories within one transaction."""

    async def add(self, assessments: Sequence[Assessment]) -> set[PaymentId]:
        """Keep new assessments; return the payments that had none yet."""
        ...

    async def save(self, assessments: Sequence[Assessment]) -> None:
        """Write back assessments that were due, and end their leases."""
        ...

    async def histories(
        self, questions: Sequence[AssessmentRequest], window: Window
    ) -> Mapping[PaymentId, History]:
        """Return what is known for each question, all as of one moment."""
        ...

    async def learn(self, payments: Sequence[Learned]) -> None:
        """Note successful payments, each once."""
        ...

    async def of_payment(self, payment_id: UUID) -> list[dict[str, Any]]:
        """Return a payment's assessment as operators see it, if there is one."""
        ...

    async def export(self, after: UUID, limit: int) -> list[dict[str, Any]]:
        """Return assessments behind `after` in the order of their payments' ids."""
        ...

    async def check(self, now: datetime) -> dict[str, Any]:
        """Return what is wrong, what is unfinished and what was set aside, bounded."""
        ...


def findings(
    overdue: Sequence[Mapping[str, Any]],
    unfinished: Sequence[Mapping[str, Any]],
    counts: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what a check found, in the shape that operators read."""
    violations = [{"invariant": "I8", **row} for row in overdue]
    return {"violations": violations, "unfinished": list(unfinished), **counts}


def result_columns(result: Result) -> dict[str, Any]:
    """Return what is stored of a result, by column."""
    return {
        "score": result.score,
        "level": result.level,
        "amount_usd_minor": result.amount_usd_minor,
        "factors": [factor.model_dump() for factor in result.factors],
        "sanctions": "hit" if result.sanctions_hit else "clear",
        "screenings": [one.model_dump() for one in result.evidence.screenings],
        "kyc": result.evidence.kyc,
    }
