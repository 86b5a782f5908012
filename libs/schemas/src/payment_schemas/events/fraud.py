"""The events of fraud."""

from datetime import datetime
from typing import ClassVar, Literal

from pydantic import ConfigDict

from payment_schemas.events.base import PaymentEvent


class FraudReported(PaymentEvent):
    """A confirmed payment was reported as a fraud. Emitted by fraud; read by audit."""

    topic: ClassVar = "fraud.reported.v1"
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "payment_id": "11111111-1111-4111-8111-111111111111",
                    "user_id": "usr-456",
                    "transaction_id": "tx-987",
                    "fraud_type": "account_takeover",
                    "reported_at": "2026-11-20T08:00:00Z",
                }
            ]
        }
    )

    fraud_type: Literal["payment_fraud", "account_takeover", "identity_theft", "velocity_abuse"]
    """Source: native-payments-api.md."""
    reported_at: datetime
