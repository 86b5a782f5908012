"""The events of sample."""

from typing import ClassVar, Literal
from uuid import UUID

from pydantic import ConfigDict

from payment_schemas.events.base import Event


class SampleServiceChanged(Event):
    """An item was created, renamed or deleted. Emitted by sample; read by audit."""

    topic: ClassVar = "sample-topic.changed.v1"
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "item_id": "3e0f7a54-6a3c-4d57-8a3e-9a2fd1a5b005",
                    "change": "created",
                    "name": "a name",
                    "version": 1,
                }
            ]
        }
    )

    item_id: UUID
    change: Literal["created", "renamed", "deleted"]
    name: str
    version: int

    @property
    def key(self) -> str:
        """The item's id."""
        return str(self.item_id)
