"""Messages that customers were sent, and acts of operators."""

from typing import ClassVar, Literal

from pydantic import Field

from payment_schemas.events.base import Event, PaymentEvent
from payment_schemas.ids import DeliveryId

Channel = Literal["sms", "email"]
DeliveryTemplate = Literal["code", "confirmed", "declined", "returned"]


class NotificationDelivered(PaymentEvent):
    """A message ended: accepted or finally refused by its provider, or expired.

    Emitted by notification; read by audit.
    """

    topic: ClassVar = "notification.delivered.v1"

    delivery_id: DeliveryId
    channel: Channel
    template: DeliveryTemplate
    result: Literal["delivered", "refused", "expired"]
    provider_id: str | None = None
    obsolete: bool = False
    """Expired early, because its content no longer holds. Only a code can be obsolete."""


class AuditRecorded(Event):
    """An act that has no event of its own. Emitted by any service; read by audit."""

    topic: ClassVar = "audit.recorded.v1"

    actor: str = Field(min_length=1, max_length=128)
    action: str = Field(pattern=r"^[A-Z][A-Z_]{1,63}$")
    about: str | None = None
    """The id of the object of the act."""
    metadata: dict[str, str] = Field(default_factory=dict)

    @property
    def key(self) -> str:
        """The actor."""
        return self.actor
