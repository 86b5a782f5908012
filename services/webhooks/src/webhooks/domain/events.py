"""Which change of a payment is which event, and what an endpoint is sent of it."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args
from uuid import NAMESPACE_URL, UUID, uuid5

from payment_schemas.events.confirmation import PaymentStatusChanged
from payment_schemas.ids import PaymentId

EventType = Literal[
    "payment.otp_required",
    "payment.confirmed",
    "payment.declined",
    "payment.settled",
    "payment.returned",
]
EVENT_TYPES: tuple[EventType, ...] = get_args(EventType)
TEST = "webhook.test"
"""Sent where the owner asks for it, to one endpoint."""
_MESSAGES = uuid5(NAMESPACE_URL, "urn:countersign:webhook")


@dataclass(frozen=True, slots=True)
class State:
    """What is known of a payment: the change with the highest sequence."""

    payment_id: PaymentId
    user_id: str
    transaction_id: str
    sequence: int
    status: str
    settlement_status: str
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Message:
    """What one delivery says; its id is the `webhook-id`, however often it is sent."""

    id: UUID
    endpoint_id: UUID
    type: str
    occurred_at: datetime
    payment_id: PaymentId | None = None
    sequence: int | None = None


def event_type_of(change: PaymentStatusChanged) -> EventType | None:
    """Return the event that a change is; None for one that no endpoint gets."""
    match change.status, change.settlement_status:
        case "OTP_REQUIRED", _:
            return "payment.otp_required"
        case "DECLINED", _:
            return "payment.declined"
        case "SUCCESS", "NONE" | "PENDING":
            return "payment.confirmed"
        case "SUCCESS", "SETTLED":
            return "payment.settled"
        case "SUCCESS", "REJECTED":
            return "payment.returned"
        case _:
            return None


def state_of(change: PaymentStatusChanged) -> State:
    """Return the state of a payment after a change."""
    return State(
        change.payment_id,
        change.user_id,
        change.transaction_id,
        change.sequence,
        change.status,
        change.settlement_status,
        change.occurred_at,
    )


def message_id(endpoint_id: UUID, payment_id: UUID, sequence: int, event: EventType) -> UUID:
    """Return the id of an endpoint's message about a change of a payment."""
    return uuid5(_MESSAGES, f"{endpoint_id}/{payment_id}/{sequence}/{event}")


def message_of(endpoint_id: UUID, change: PaymentStatusChanged, event: EventType) -> Message:
    """Return the one message of an endpoint about a change."""
    return Message(
        message_id(endpoint_id, change.payment_id, change.sequence, event),
        endpoint_id,
        event,
        change.occurred_at,
        change.payment_id,
        change.sequence,
    )


def body_of(message: Message, state: State | None) -> bytes:
    """Return the payload: the event, and the payment as it is known when the message is sent."""
    data: dict[str, object] = {}
    if state is not None:
        data = {
            "payment_id": str(state.payment_id),
            "transaction_id": state.transaction_id,
            "sequence": message.sequence,
            "status": state.status,
            "settlement_status": state.settlement_status,
            "status_sequence": state.sequence,
        }
    payload = {"type": message.type, "timestamp": message.occurred_at.isoformat(), "data": data}
    return json.dumps(payload, separators=(",", ":")).encode()
