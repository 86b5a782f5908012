"""What clients see of a charge: its outcome, which never changes once it is known, and why."""

from typing import Any

from charges.domain.charge import OPEN, PAID, Charge, Goal, Status
from charges.domain.ids import transaction_id

UNSCORED = (
    "Risk assessment service temporarily unavailable. Using default risk evaluation. "
    "Manual review recommended."
)
"""Source: gateway-proxy.md, the fallback response. No score is invented: it is null."""
_OUTCOMES = {Status.DECLINED: "declined", Status.FAILED: "failed", Status.CANCELLED: "cancelled"}


def outcome_of(charge: Charge) -> str | None:
    """Return the outcome of a charge's first decision; None while nothing is known."""
    if charge.status in OPEN:
        return None
    if charge.status in _OUTCOMES:
        return _OUTCOMES[charge.status]
    if charge.status in PAID or charge.goal is Goal.CAPTURE:
        return "success"
    return "review" if charge.review == "HELD" else "authorized"


def shown_status(charge: Charge) -> str:
    """Return the status that clients see: what is under way or unknown is PROCESSING."""
    return "PROCESSING" if charge.status in OPEN else charge.status.value


def usage_answer(charge: Charge, outcome: str | None) -> dict[str, Any]:
    """Return the body of a payment's response. Source: gateway-proxy.md, as printed."""
    return {
        "transactionId": transaction_id(charge.id),
        "provider": charge.provider,
        "status": outcome or "processing",
        "riskScore": None,
        "explanation": _explanation(charge, outcome),
    }


def _explanation(charge: Charge, outcome: str | None) -> str:
    at = charge.provider.capitalize() if charge.provider else "no provider"
    told = {
        None: f"This payment is under way at {at}.",
        "success": f"This payment was routed to {at}.",
        "authorized": f"This payment was routed to {at} and is authorized, not captured.",
        "review": f"This payment was routed to {at} and waits for a person's review.",
        "declined": f"This payment was declined by {at}: {charge.code}.",
        "failed": f"This payment was not made: {charge.code}.",
        "cancelled": "This payment was cancelled.",
    }[outcome]
    return f"{told} {UNSCORED}"


def shown(charge: Charge, updated_at: Any) -> dict[str, Any]:
    """Return the body of a read, as printed, and what became of the money."""
    return {
        "transactionId": transaction_id(charge.id),
        "status": shown_status(charge),
        "amount": charge.money.amount_minor,
        "currency": charge.money.currency,
        "createdAt": charge.created_at,
        "updatedAt": updated_at,
        "provider": charge.provider,
        "code": charge.code,
        "review": charge.review,
        "captured": charge.captured_minor,
        "refunding": charge.refunding_minor,
        "refunded": charge.refunded_minor,
    }
