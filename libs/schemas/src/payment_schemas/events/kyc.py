"""The event of identity checks."""

from datetime import datetime
from typing import ClassVar, Literal

from pydantic import ConfigDict

from payment_schemas.events.base import Event
from payment_schemas.events.risk import KycStatus
from payment_schemas.ids import UserId


class KycStatusChanged(Event):
    """A person's documents have another state. Emitted by compliance; read by risk and audit.

    Nothing in it says who the person is.
    """

    topic: ClassVar = "kyc.status-changed.v1"
    acting_readers: ClassVar = ("risk",)
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "user_id": "usr-456",
                    "version": 3,
                    "status": "verified",
                    "level": "BASIC",
                    "valid_until": "2028-11-29T12:00:00Z",
                }
            ]
        }
    )

    user_id: UserId
    version: int
    """Rises with each change of a user; an older event than the last one is ignored."""
    status: KycStatus
    level: Literal["BASIC", "ENHANCED"] | None = None
    """Of the verification that holds, or has expired."""
    valid_until: datetime | None = None
    """When it ends by itself: `verified` means `expired` from then on."""

    @property
    def key(self) -> str:
        """The user."""
        return self.user_id
