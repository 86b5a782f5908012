"""The port to risk's tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from payment_schemas.ids import PaymentId
from risk.domain import Assessment, AssessmentRequest, History, Result

TABLE = "assessment"


@dataclass(frozen=True, slots=True)
class Learned:
    """The facts that risk learns from a successful payment."""

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
        """Store new assessments; return the payments that had none."""
        ...

    async def save(self, assessments: Sequence[Assessment]) -> None:
        """Write back assessments that were due, and end their leases."""
        ...

    async def histories(
        self, questions: Sequence[AssessmentRequest], window: Window
    ) -> Mapping[PaymentId, History]:
        """Return the history for each request, all as of one moment."""
        ...

    async def learn(self, payments: Sequence[Learned]) -> None:
        """Store successful payments, each once."""
        ...


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


def findings(
    overdue: Sequence[Mapping[str, Any]],
    unfinished: Sequence[Mapping[str, Any]],
    counts: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what a check found, in the shape that operators read."""
    violations = [{"invariant": "I8", **row} for row in overdue]
    return {"violations": violations, "unfinished": list(unfinished), **counts}
