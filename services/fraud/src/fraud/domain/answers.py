"""A score in the terms of native-payments-api.md: 0 to 1000, level, recommendation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fraud.domain.features import COLUMNS
from fraud.domain.scoring import Score

FraudType = Literal["payment_fraud", "account_takeover", "identity_theft", "velocity_abuse"]
Level = Literal["LOW", "MEDIUM", "HIGH"]
Recommendation = Literal["APPROVE", "REVIEW", "BLOCK"]
WHOLE = 1000
MEDIUM_FROM, HIGH_FROM = 50, 500
"""Thousandths of probability; risk gives points from the same ones on."""
LARGE_USD = 1_000
"""From here on risk gives an amount points, too."""
NEW_AND_LARGE = "new_customer_large_amount"
_ADVICE: dict[Level, Recommendation] = {"LOW": "APPROVE", "MEDIUM": "REVIEW", "HIGH": "BLOCK"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """A score as that document shows it. An unknown one has no number, and is reviewed."""

    score: int | None
    level: Level | None
    recommendation: Recommendation
    reasons: tuple[str, ...]


def verdict_of(score: Score | None, features: Sequence[float] = ()) -> Verdict:
    """Return the verdict of a score; `features`: those of the payment, where they are known.

    A large amount of a customer who has not paid for 30 days is never approved: models have seen
    few such payments, and score them low.
    """
    if score is None:
        return Verdict(None, None, "REVIEW", ("model_unavailable",))
    thousandths = int(score.probability * WHOLE)
    level = level_of(thousandths)
    if level == "LOW" and features and is_new_and_large(features):
        return Verdict(thousandths, level, "REVIEW", (NEW_AND_LARGE,))
    reasons = score.reasons if level != "LOW" else ("low_risk",)
    return Verdict(thousandths, level, _ADVICE[level], reasons)


def is_new_and_large(features: Sequence[float]) -> bool:
    """Return whether a payment is a large one of a customer without others."""
    is_new = features[COLUMNS["customer_payments_30d"]] == 0
    return is_new and features[COLUMNS["amount"]] >= LARGE_USD


def level_of(thousandths: int) -> Level:
    """Return the level of a score."""
    if thousandths >= HIGH_FROM:
        return "HIGH"
    return "MEDIUM" if thousandths >= MEDIUM_FROM else "LOW"
