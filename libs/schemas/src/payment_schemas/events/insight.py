"""The events of insight."""

from typing import ClassVar, Literal

from pydantic import ConfigDict

from payment_schemas.events.base import PaymentEvent


class RiskExplained(PaymentEvent):
    """A payment's risk score has been explained in words. Emitted by insight; read by audit.

    It decides nothing: score and decision are those of before.
    """

    topic: ClassVar = "risk.explained.v1"
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "payment_id": "8f0d6a5e-2f0c-5b7e-9d3b-0a6a8f7f1c11",
                    "user_id": "usr-456",
                    "transaction_id": "tx-987",
                    "summary": "The score is 85 of 100, the level high.",
                    "recommendations": ["Manual review recommended."],
                    "source": "template",
                    "reason": "no_model",
                }
            ]
        }
    )

    summary: str
    recommendations: tuple[str, ...]
    source: Literal["model", "template"]
    reason: str | None = None
    """Why a template explains: no_model, budget, breaker_open, deadline, timeout, ungrounded, …"""
