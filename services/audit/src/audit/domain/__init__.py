"""The audit entry of each event. Pure."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, get_args
from uuid import UUID

from payment_schemas.events.base import Event, PaymentEvent
from payment_schemas.events.confirmation import (
    ConfirmAnswered,
    ConfirmRequested,
    PaymentConfirmed,
    PaymentStatusChanged,
)
from payment_schemas.events.otp import (
    Challenged,
    ChallengeRefused,
    ChallengeRequested,
    CodesLockChanged,
    VerificationRequested,
    Verified,
)
from payment_schemas.events.record import AuditRecorded, NotificationDelivered
from payment_schemas.events.risk import AssessmentRequested, RiskAssessed
from payment_schemas.events.settlement import SettlementUpdated
from payment_schemas.registry import EVENTS
from payment_schemas.sealed import Personal, Sealed

UNREADABLE = "UNREADABLE"
"""The name of an entry whose value is no event of its payment; the check reports each."""

_OTHERS = (ConfirmRequested, ConfirmAnswered, PaymentStatusChanged)
AUDITED = tuple(event for event in EVENTS if event not in _OTHERS)
"""All events but the edge's commands and replies, whose effects are separate events, and the status
that owners see, which follows from other events."""

FINAL = ("PAYMENT_DECLINED", "SETTLEMENT_SETTLED", "SETTLEMENT_REJECTED")
QUIET = timedelta(seconds=60)
"""An absent entry counts as missing after this time without new entries of its payment."""

_NAMES: dict[type[Event], str] = {
    AssessmentRequested: "PAYMENT_REQUESTED",
    ChallengeRequested: "OTP_REQUESTED",
    Challenged: "OTP_CHALLENGED",
    ChallengeRefused: "OTP_REFUSED",
    VerificationRequested: "OTP_SUBMITTED",
    Verified: "OTP_VERIFIED",
}
"""Entry names that differ from the name of the event's class."""
_LATER = {
    SettlementUpdated: "SETTLEMENT",
    NotificationDelivered: "NOTIFICATION",
    CodesLockChanged: "OTP_LOCK",
}
"""Names that depend on the value: the view `audit_log` completes them."""
_COLUMNS = frozenset({"payment_id", "user_id", "transaction_id", "reference"})


@dataclass(frozen=True, slots=True)
class Origin:
    """An event's id, its time (`ce_time`) and its position in Kafka."""

    event_id: UUID
    time: datetime
    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class RawEvent:
    """An event of a payment that is stored as its record's bytes, and decoded when it is read."""

    kind: type[Event]
    payment_id: UUID
    value: bytes

    @property
    def name(self) -> str:
        """The entry's name, as far as the event's class decides it."""
        return _raw_name(self.kind)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the audit log. `metadata` is JSON without secrets."""

    event: str
    origin: Origin
    metadata: dict[str, Any]
    payment_id: UUID | None = None
    tx_id: str | None = None
    user_id: str | None = None
    reference: str | None = None


def entry_of(event: Event, origin: Origin) -> Entry:
    """Return the entry for an event."""
    entry = Entry(_name_of(event), origin, _metadata_of(event))
    if not isinstance(event, PaymentEvent):
        return entry
    return Entry(
        entry.event,
        origin,
        entry.metadata,
        payment_id=event.payment_id,
        tx_id=event.transaction_id,
        user_id=event.user_id,
        reference=event.reference if isinstance(event, PaymentConfirmed) else None,
    )


def is_raw(event: type[Event]) -> bool:
    """Return whether an event is stored as bytes: one of a payment, without a sealed field."""
    fields = event.model_fields.values()
    has_secrets = any(_is_secret(field.annotation) for field in fields)
    return issubclass(event, PaymentEvent) and not has_secrets


def _name_of(event: Event) -> str:
    match event:
        case AuditRecorded():
            return event.action
        case SettlementUpdated():
            return f"SETTLEMENT_{event.status}"
        case NotificationDelivered():
            return f"NOTIFICATION_{event.result.upper()}"
        case CodesLockChanged():
            return "OTP_LOCKED" if event.is_locked else "OTP_UNLOCKED"
        case _:
            return _NAMES.get(type(event)) or _upper(type(event).__name__)


@cache
def _raw_name(kind: type[Event]) -> str:
    return _LATER.get(kind) or _NAMES.get(kind) or _upper(kind.__name__)


def _upper(name: str) -> str:
    """Return `RISK_ASSESSED` for `RiskAssessed`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).upper()


def _metadata_of(event: Event) -> dict[str, Any]:
    """Return the event's fields, except sealed values and fields with their own column."""
    fields = event.model_dump(
        mode="json", include=set(_open_fields(type(event))), exclude_none=True
    )
    if isinstance(event, RiskAssessed):
        fields["risk_score"] = fields.pop("score")
    more: dict[str, Any] = fields.pop("context", {}) | fields.pop("metadata", {})
    return more | fields


@cache
def _open_fields(event: type[Event]) -> frozenset[str]:
    """Return the names of the fields for `metadata`; sealed fields are excluded by type."""
    fields = event.model_fields.items()
    return frozenset(
        name for name, field in fields if name not in _COLUMNS and not _is_secret(field.annotation)
    )


def _is_secret(annotation: Any) -> bool:
    return annotation in (Sealed, Personal) or any(map(_is_secret, get_args(annotation)))
