"""What every event has in common."""

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from payment_schemas.ids import PaymentId, TransactionId, UserId


class Event(BaseModel):
    """A fact, in the past tense, on one topic. Readers ignore fields that they do not know."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    topic: ClassVar[str]
    ce_type: ClassVar[str]
    """The topic's name, except on `settlement-queue`."""
    through_outbox: ClassVar[bool] = True
    """False for answers: they go out right after the commit, and a lost one costs a 202."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "topic" in cls.__dict__ and "ce_type" not in cls.__dict__:
            cls.ce_type = cls.topic

    @property
    def key(self) -> str:
        """The record's key: records of one key are read in the order in which they were written."""
        raise NotImplementedError

    @property
    def subject(self) -> str:
        """`ce_subject`: what the event is about."""
        return self.key

    @property
    def partition(self) -> int | None:
        """An explicit partition, or None where the key decides."""
        return None


class PaymentEvent(Event):
    """A fact about one payment."""

    payment_id: PaymentId
    user_id: UserId
    transaction_id: TransactionId

    @property
    def key(self) -> str:
        """The payment's id."""
        return str(self.payment_id)


class ClientContext(BaseModel):
    """Where a request came from, for the audit trail: ids of machines, never of people."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    ip_address: str | None = None
    device_fingerprint: str | None = None
    country: str | None = None
    """ISO 3166-1 alpha-2, as a trusted proxy gave it."""
    traceparent: str | None = None
    """The request's trace, so that a payment's later requests can be linked to its first."""
