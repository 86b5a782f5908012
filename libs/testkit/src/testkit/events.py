"""Valid events for tests, so that a test shows only the deciding fields."""

from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from payment_schemas.cloudevents import Attributes, headers_of
from payment_schemas.events.base import Event
from payment_schemas.events.confirmation import (
    ConfirmAnswered,
    ConfirmRequested,
    PaymentConfirmed,
    PaymentDeclined,
    PaymentStatusChanged,
    ReviewOpened,
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
from payment_schemas.events.settlement import SettlementRequested, SettlementUpdated
from payment_schemas.ids import EventId
from service_runtime.messages import Cause, ProducerRecord, Received, Record

E = TypeVar("E", bound=Event)

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
PAYMENT = UUID("8f0d6a5e-2f0c-5b7e-9d3b-0a6a8f7f1c11")
REQUEST = UUID("3e0f7a54-6a3c-4d57-8a3e-9a2fd1a5b001")
CHALLENGE = UUID("3e0f7a54-6a3c-4d57-8a3e-9a2fd1a5b002")
UETR = UUID("3e0f7a54-6a3c-4d57-8a3e-9a2fd1a5b003")
DELIVERY = UUID("3e0f7a54-6a3c-4d57-8a3e-9a2fd1a5b004")
SEALED_CODE = "0a1b2c3d.c2VhbGVkLWNhbmFyeQ=="
"""A canary in the format of a sealed value, which must never be stored or logged."""

_PAYMENT = {"payment_id": PAYMENT, "user_id": "usr-456", "transaction_id": "tx-987"}
_MONEY = {"amount_minor": 520_000, "currency": "USD"}
_ACCOUNTS = {"from_account": "acc-1", "to_account": "payee-xyz"}
_CONTEXT = {"context": {"ip_address": "192.0.2.7", "device_fingerprint": "dev-1", "country": "US"}}
_LATER = {"expires_at": NOON + timedelta(minutes=15)}

_FIELDS: dict[type[Event], dict[str, Any]] = {
    ConfirmRequested: {
        "request_id": REQUEST,
        "reply_partition": 0,
        "user_id": "usr-456",
        "transaction_id": "tx-987",
        "idempotency_key": "abc-123",
        "amount": "5200",
        **_ACCOUNTS,
        "sealed_code": SEALED_CODE,
    },
    ConfirmAnswered: {"request_id": REQUEST, "reply_partition": 0, "status": 200, "body": "{}"},
    AssessmentRequested: {
        **_PAYMENT,
        "version": 1,
        **_MONEY,
        **_ACCOUNTS,
        "requested_at": NOON,
        **_LATER,
        **_CONTEXT,
    },
    RiskAssessed: {
        **_PAYMENT,
        "score": 85,
        "level": "high",
        "factors": ({"name": "amount", "points": 45}, {"name": "new_payee", "points": 40}),
        "amount_usd_minor": 520_000,
        "sanctions": "clear",
        "kyc": "verified",
        "screenings": (
            {"party": "debtor", "hit": False, "list_version": "2026-03-01", "match_score": 0},
            {"party": "creditor", "hit": False, "list_version": "2026-03-01", "match_score": 12},
        ),
    },
    ChallengeRequested: {
        **_PAYMENT,
        "version": 2,
        "challenge_number": 1,
        **_MONEY,
        "to_account": "payee-xyz",
        **_LATER,
    },
    Challenged: {
        **_PAYMENT,
        "challenge_id": CHALLENGE,
        "challenge_number": 1,
        "sealed_code": SEALED_CODE,
        "code_expires_at": NOON + timedelta(minutes=5),
        **_MONEY,
        "to_account": "payee-xyz",
    },
    ChallengeRefused: {
        **_PAYMENT,
        "version": 2,
        "challenge_number": 1,
        "reason": "too_many",
        "retry_after_s": 60,
    },
    CodesLockChanged: {
        **_PAYMENT,
        "is_locked": True,
        "wrong_codes": 100,
        **_MONEY,
        "to_account": "payee-xyz",
    },
    VerificationRequested: {
        **_PAYMENT,
        "version": 4,
        "challenge_id": CHALLENGE,
        "request_id": REQUEST,
        "sealed_code": SEALED_CODE,
        **_LATER,
    },
    Verified: {
        **_PAYMENT,
        "challenge_id": CHALLENGE,
        "request_id": REQUEST,
        "result": "valid",
        "challenge_over": True,
    },
    PaymentConfirmed: {
        **_PAYMENT,
        "version": 5,
        **_MONEY,
        **_ACCOUNTS,
        "reference": "7K2M9QX4TD",
        "settlement_method": "ACH",
        "risk_score": 85,
        "confirmed_at": NOON,
        **_CONTEXT,
    },
    PaymentDeclined: {
        **_PAYMENT,
        "version": 2,
        **_MONEY,
        **_ACCOUNTS,
        "reason": "not_permitted",
        "risk_score": 85,
        **_CONTEXT,
    },
    PaymentStatusChanged: {
        **_PAYMENT,
        "sequence": 3,
        "status": "SUCCESS",
        "settlement_status": "PENDING",
        "reference": "7K2M9QX4TD",
        "settlement_method": "ACH",
        **_MONEY,
        **_ACCOUNTS,
        "created_at": NOON,
        "occurred_at": NOON,
    },
    ReviewOpened: {**_PAYMENT, "reasons": ("amount",), **_MONEY, "risk_score": 85},
    SettlementRequested: {
        **_PAYMENT,
        "uetr": UETR,
        **_MONEY,
        "debtor_account": "acc-1",
        "creditor_account": "payee-xyz",
        "confirmed_at": NOON,
    },
    SettlementUpdated: {
        **_PAYMENT,
        "uetr": UETR,
        "partner": "first-bank",
        "status": "SETTLED",
        "version": 2,
        **_MONEY,
        "to_account": "payee-xyz",
        "confirmed_at": NOON,
    },
    NotificationDelivered: {
        **_PAYMENT,
        "delivery_id": DELIVERY,
        "channel": "sms",
        "template": "code",
        "result": "delivered",
    },
    AuditRecorded: {
        "actor": "ops",
        "action": "DEAD_LETTER_REDRIVEN",
        "about": "settlement-queue-dlq/0/7",
        "metadata": {"note": "after the fix"},
    },
}


def event_of(event_class: type[E], **fields: Any) -> E:
    """Return a valid event with the given fields."""
    return event_class.model_validate({**_example_of(event_class), **fields})


def _example_of(event_class: type[Event]) -> dict[str, Any]:
    """Return the fields above, or else the example of the event's own schema."""
    if event_class in _FIELDS:
        return _FIELDS[event_class]
    schema: Any = event_class.model_config["json_schema_extra"]
    return dict(schema["examples"][0])


def record_of(outgoing: ProducerRecord, offset: int = 0, timestamp_ms: int = 0) -> Record:
    """Return the record as a topic stores it."""
    return Record(
        outgoing.topic,
        outgoing.partition or 0,
        offset,
        timestamp_ms,
        outgoing.key,
        outgoing.value,
        outgoing.headers,
    )


def outgoing_of(event: Event, event_id: UUID, time: datetime = NOON) -> ProducerRecord:
    """Return the record of an event, as published by a service named `test`."""
    headers = headers_of(event, Attributes(EventId(event_id), time), "test")
    return ProducerRecord(
        event.topic, event.key.encode(), event.model_dump_json().encode(), headers, event.partition
    )


def received(event: E, event_id: UUID, time: datetime = NOON, offset: int = 0) -> Received[E]:
    """Return an event as a handler gets it."""
    record = record_of(outgoing_of(event, event_id, time), offset)
    return Received(event, Cause(event_id), time, record)
