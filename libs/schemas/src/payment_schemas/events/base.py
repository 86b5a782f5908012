"""Base classes of the three kinds of message: Command, Event, Reply."""

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from payment_schemas.ids import PaymentId, TransactionId, UserId

Kind = Literal["command", "event", "reply"]


class Event(BaseModel):
    """A fact in the past tense, on one topic, for any reader. Readers ignore unknown fields.

    Commands and replies are records like events: what the runtime does with one, it does with all.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: ClassVar[Kind] = "event"
    topic: ClassVar[str]
    ce_type: ClassVar[str]
    """The topic's name, except on `settlement-queue`."""
    acting_readers: ClassVar[tuple[str, ...]] = ()
    """The services that move or release money, or erase a person, because of it: each demands a MAC
    of the emitter under a key that the two share."""
    through_outbox: ClassVar[bool] = True
    """False for replies: they are published right after the commit; a lost one costs a 202."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "topic" in cls.__dict__ and "ce_type" not in cls.__dict__:
            cls.ce_type = cls.topic

    @property
    def key(self) -> str:
        """The record's key: records with equal keys are read in the order of writing."""
        raise NotImplementedError

    @property
    def subject(self) -> str:
        """`ce_subject`: the id of the thing that the message is about."""
        return self.key

    @property
    def partition(self) -> int | None:
        """An explicit partition, or None where the key decides."""
        return None


class Command(Event):
    """A request to one service, which alone acts on it. Other readers only record it."""

    kind: ClassVar[Kind] = "command"


class Reply(Event):
    """The response to one command, read by the process that sent the command, and no other."""

    kind: ClassVar[Kind] = "reply"
    through_outbox: ClassVar[bool] = False


class PaymentEvent(Event):
    """A message about one payment."""

    payment_id: PaymentId
    user_id: UserId
    transaction_id: TransactionId

    @property
    def key(self) -> str:
        """The payment's id."""
        return str(self.payment_id)


class ClientContext(BaseModel):
    """The origin of a request, for the audit log: identifies machines, never people."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    ip_address: str | None = None
    device_fingerprint: str | None = None
    country: str | None = None
    """ISO 3166-1 alpha-2, from a trusted proxy."""
    traceparent: str | None = None
    """The request's trace; a payment's later requests are linked to its first one by it."""
