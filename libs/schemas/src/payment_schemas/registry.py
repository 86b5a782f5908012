"""All message classes, by `ce_type` and by topic."""

from payment_schemas.events.base import Event
from payment_schemas.events.confirmation import (
    ConfirmAnswered,
    ConfirmRequested,
    PaymentConfirmed,
    PaymentDeclined,
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

EVENTS: tuple[type[Event], ...] = (
    ConfirmRequested,
    ConfirmAnswered,
    AssessmentRequested,
    RiskAssessed,
    ChallengeRequested,
    Challenged,
    ChallengeRefused,
    VerificationRequested,
    Verified,
    CodesLockChanged,
    PaymentConfirmed,
    PaymentDeclined,
    ReviewOpened,
    SettlementRequested,
    SettlementUpdated,
    NotificationDelivered,
    AuditRecorded,
)
BY_TYPE: dict[str, type[Event]] = {event.ce_type: event for event in EVENTS}
BY_TOPIC: dict[str, type[Event]] = {event.topic: event for event in EVENTS}
