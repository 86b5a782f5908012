"""What a person still has to decide about a card payment. Pure."""

from collections.abc import Mapping
from typing import Any, Literal

Waiting = Literal["HELD", "LISTED"]
SHOWN = {
    "HELD": "waits for a review",
    "LISTED": "to be reviewed",
    "APPROVED": "approved",
    "REJECTED": "rejected",
}
DONE = {
    ("HELD", True): "Approved: the payment is captured.",
    ("HELD", False): "Rejected: the payment is cancelled, and nothing is taken.",
    ("LISTED", True): "Approved.",
    ("LISTED", False): "Rejected. The money stays captured until you refund it.",
}
"""What is true after a decision."""


def waiting_of(charge: Mapping[str, Any]) -> Waiting | None:
    """Return what waits for a person: a payment that is held, or one to look at afterwards."""
    review = charge["review"]
    return review if review in ("HELD", "LISTED") else None


def review_of(charge: Mapping[str, Any]) -> str:
    """Return the words for a review; empty where none is needed."""
    return SHOWN.get(str(charge["review"]), "")
