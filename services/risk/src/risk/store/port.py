"""The port to risk's tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from payment_schemas.ids import PaymentId
from risk.domain import Assessment, AssessmentRequest, History, Result

TABLE = "assessment"


@dataclass(frozen=True, slots=True)
class SuccessfulPayment:
    """A successful payment, as history of its user."""

    payment_id: PaymentId
    user_id: str
    payee: str
    country: str | None
    confirmed_at: datetime


@dataclass(frozen=True, slots=True)
class Window:
    """The start of the velocity window, and the number at which counting stops."""

    since: datetime
    at_most: int


class Assessments(Protocol):
    """Assessments and histories within one transaction."""

    async def add(self, assessments: Sequence[Assessment]) -> set[PaymentId]:
        """Add assessments; return the payments that had none before."""
        ...

    async def save(self, assessments: Sequence[Assessment]) -> None:
        """Save assessments that were due, and end their leases."""
        ...

    async def histories(
        self, requests: Sequence[AssessmentRequest], window: Window
    ) -> Mapping[PaymentId, History]:
        """Return the history for each request, all as of the same time."""
        ...

    async def add_payments(self, payments: Sequence[SuccessfulPayment]) -> None:
        """Add successful payments, each once."""
        ...


def result_columns(result: Result) -> dict[str, Any]:
    """Return the columns of a result."""
    return {
        "score": result.score,
        "level": result.level,
        "amount_usd_minor": result.amount_usd_minor,
        "factors": [factor.model_dump() for factor in result.factors],
        "sanctions": "hit" if result.sanctions_hit else "clear",
        "screenings": [one.model_dump(exclude_defaults=True) for one in result.evidence.screenings],
        "kyc": result.evidence.kyc,
        "fraud": score.model_dump() if (score := result.evidence.fraud_score) else None,
    }


def findings(
    overdue: Sequence[Mapping[str, Any]],
    unfinished: Sequence[Mapping[str, Any]],
    counts: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the findings of a check, as operators read them."""
    violations = [{"invariant": "I8", **row} for row in overdue]
    return {"violations": violations, "unfinished": list(unfinished), **counts}
