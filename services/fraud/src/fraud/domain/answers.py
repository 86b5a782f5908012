"""A score in the terms of native-payments-api.md: 0 to 1000, level, recommendation."""

from dataclasses import dataclass
from typing import Literal

from fraud.domain.scoring import Score

FraudType = Literal["payment_fraud", "account_takeover", "identity_theft", "velocity_abuse"]
Level = Literal["LOW", "MEDIUM", "HIGH"]
Recommendation = Literal["APPROVE", "REVIEW", "BLOCK"]
WHOLE = 1000
MEDIUM_FROM, HIGH_FROM = 50, 500
"""Thousandths of probability; risk gives points from the same ones on."""
_ADVICE: dict[Level, Recommendation] = {"LOW": "APPROVE", "MEDIUM": "REVIEW", "HIGH": "BLOCK"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """A score as that document shows it. An unknown one has no number, and is reviewed."""

    score: int | None
    level: Level | None
    recommendation: Recommendation
    reasons: tuple[str, ...]


def verdict_of(score: Score | None) -> Verdict:
    """Return the verdict of a score."""
    if score is None:
        return Verdict(None, None, "REVIEW", ("model_unavailable",))
    thousandths = int(score.probability * WHOLE)
    level = level_of(thousandths)
    reasons = score.reasons if level != "LOW" else ("low_risk",)
    return Verdict(thousandths, level, _ADVICE[level], reasons)


def level_of(thousandths: int) -> Level:
    """Return the level of a score."""
    if thousandths >= HIGH_FROM:
        return "HIGH"
    return "MEDIUM" if thousandths >= MEDIUM_FROM else "LOW"
