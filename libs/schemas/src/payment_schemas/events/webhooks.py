"""The events of webhooks."""

from typing import ClassVar, Literal
from uuid import UUID

from pydantic import ConfigDict

from payment_schemas.events.base import Event
from payment_schemas.ids import UserId


class WebhookEndpointChanged(Event):
    """An owner has changed an endpoint, or its deliveries have failed. Emitted by webhooks.

    Read by audit.
    """

    topic: ClassVar = "webhooks.endpoint-changed.v1"
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "endpoint_id": "3e0f7a54-6a3c-4d57-8a3e-9a2fd1a5b005",
                    "user_id": "usr-456",
                    "change": "switched_off",
                    "reason": "failing",
                }
            ]
        }
    )

    endpoint_id: UUID
    user_id: UserId
    change: Literal[
        "created", "changed", "deleted", "secret_rotated", "switched_off", "deliveries_failed"
    ]
    reason: Literal["gone", "failing", "owner"] | None = None
    """Why it was switched off."""
    failed: int | None = None
    """Deliveries that were given up, of those that ended together."""

    @property
    def key(self) -> str:
        """The endpoint's id."""
        return str(self.endpoint_id)
