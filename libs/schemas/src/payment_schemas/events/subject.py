"""The event of an erased person."""

from typing import ClassVar

from pydantic import ConfigDict

from payment_schemas.events.base import Event
from payment_schemas.ids import UserId


class SubjectErased(Event):
    """Two people have erased a person: each owner of personal data destroys its own.

    Emitted by compliance; read by notification, insight, identity, charges and audit. It may come
    again, and about persons of whom a reader knows nothing.
    """

    topic: ClassVar = "subject.erased.v1"
    acting_readers: ClassVar = ("notification", "insight", "identity", "charges")
    model_config = ConfigDict(json_schema_extra={"examples": [{"user_id": "usr-456"}]})

    user_id: UserId

    @property
    def key(self) -> str:
        """The user."""
        return self.user_id
