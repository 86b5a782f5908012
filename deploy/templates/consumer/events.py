"""The events of sample."""

from typing import ClassVar

from pydantic import ConfigDict

from payment_schemas.events.base import PaymentEvent


class SampleServiceRecorded(PaymentEvent):
    """A confirmed payment has been recorded. Emitted by sample; read by audit."""

    topic: ClassVar = "sample-topic.recorded.v1"
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "payment_id": "8f0d6a5e-2f0c-5b7e-9d3b-0a6a8f7f1c11",
                    "user_id": "usr-456",
                    "transaction_id": "tx-987",
                    "amount_minor": 520_000,
                    "currency": "USD",
                }
            ]
        }
    )

    amount_minor: int
    currency: str
