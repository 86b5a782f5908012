"""The events of charges."""

from typing import ClassVar, Literal
from uuid import UUID

from pydantic import ConfigDict

from payment_schemas.events.base import Event
from payment_schemas.ids import UserId
from payment_schemas.money import AmountMinor, Currency

ChargeStatus = Literal[
    "CREATED",
    "AUTHORIZING",
    "AUTHORIZED",
    "CAPTURED",
    "DECLINED",
    "FAILED",
    "CANCELLED",
    "PARTIALLY_REFUNDED",
    "REFUNDED",
    "UNKNOWN",
]


class ChargeChanged(Event):
    """A charge is in another state, or a refund of it is. Emitted by charges.

    Read by audit.
    """

    topic: ClassVar = "charges.changed.v1"
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "charge_id": "6f0d0c0e-6a3c-4d57-8a3e-9a2fd1a5c007",
                    "user_id": "usr-456",
                    "version": 3,
                    "status": "CAPTURED",
                    "amount_minor": 1000,
                    "currency": "USD",
                    "provider": "stripe",
                    "captured_minor": 1000,
                }
            ]
        }
    )

    charge_id: UUID
    user_id: UserId
    version: int
    status: ChargeStatus
    amount_minor: AmountMinor
    currency: Currency
    provider: str | None = None
    code: str | None = None
    """Why it was declined or has failed."""
    review: Literal["NONE", "LISTED", "HELD", "APPROVED", "REJECTED"] = "NONE"
    captured_minor: int = 0
    refunding_minor: int = 0
    """Requested refunds without an outcome."""
    refunded_minor: int = 0

    @property
    def key(self) -> str:
        """The charge's id."""
        return str(self.charge_id)
