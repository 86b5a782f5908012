"""What was told to customers, and what operators did."""

from typing import ClassVar, Literal

from pydantic import Field

from payment_schemas.events.base import Event, PaymentEvent
from payment_schemas.ids import DeliveryId

Channel = Literal["sms", "email"]
DeliveryTemplate = Literal["code", "confirmed", "declined", "returned"]


class NotificationDelivered(PaymentEvent):
    """A provider took a message, or refused it for good. Emitted by notification; read by audit."""

    topic: ClassVar = "notification.delivered.v1"

    delivery_id: DeliveryId
    channel: Channel
    template: DeliveryTemplate
    result: Literal["delivered", "refused", "expired"]
    provider_id: str | None = None
    obsolete: bool = False
    """Expired before its time: what it tells does not hold any more. Only a code can be."""


class AuditRecorded(Event):
    """Something was done that has no event of its own. Emitted by any service; read by audit."""

    topic: ClassVar = "audit.recorded.v1"

    actor: str = Field(min_length=1, max_length=128)
    action: str = Field(pattern=r"^[A-Z][A-Z_]{1,63}$")
    about: str | None = None
    """The id of what it was done to."""
    metadata: dict[str, str] = Field(default_factory=dict)

    @property
    def key(self) -> str:
        """The actor."""
        return self.actor
