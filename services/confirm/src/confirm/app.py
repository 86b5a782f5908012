"""Builds the confirm process from its settings."""

from functools import partial

from confirm import handlers
from confirm.domain.payment import Payment, Policy
from confirm.routes import routes
from confirm.settings import Settings
from confirm.store.postgres import PostgresPayments, payment_of
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
    VerificationRequested,
    Verified,
)
from payment_schemas.events.risk import AssessmentRequested, RiskAssessed
from payment_schemas.events.settlement import SettlementRequested, SettlementUpdated
from payment_schemas.ids import Uetr
from service_runtime.clock import Clock
from service_runtime.consumer import Handle, Handler
from service_runtime.process import Process
from service_runtime.service import Service
from service_runtime.work import Work
from service_runtime.work_table import PostgresWorkTable

EMITS = (
    AssessmentRequested,
    ChallengeRequested,
    VerificationRequested,
    ConfirmAnswered,
    PaymentConfirmed,
    PaymentDeclined,
    ReviewOpened,
    SettlementRequested,
)


def build(settings: Settings) -> Process:
    """Return the process to run."""
    service = Service("confirm", settings)
    policy = settings.policy()
    table: PostgresWorkTable[Payment] = PostgresWorkTable("payment", payment_of)
    service.worker(Work(table, handlers.on_due_payments, PostgresPayments))
    return service.process(
        handlers=_handlers(service.clock, policy),
        emits=EMITS,
        routes=routes(service.database, service.requests, service.credentials, policy.currencies),
    )


def _handlers(clock: Clock, policy: Policy) -> list[Handler]:
    """Return the handlers; results come first, because they finish payments."""
    draw_uetr = partial(new_uetr, clock)
    by_event: list[tuple[type[Event], Handle]] = [
        (SettlementUpdated, handlers.on_settlement_updated),
        (Verified, partial(handlers.on_verified, policy=policy)),
        (Challenged, partial(handlers.on_challenged, policy=policy)),
        (ChallengeRefused, handlers.on_challenge_refused),
        (RiskAssessed, partial(handlers.on_risk_assessed, policy=policy)),
        (
            ConfirmRequested,
            partial(handlers.on_confirm_requested, policy=policy, draw_uetr=draw_uetr),
        ),
    ]
    return [Handler(event, handle, PostgresPayments) for event, handle in by_event]


def new_uetr(clock: Clock) -> Uetr:
    """Draw a new payment's UETR."""
    return Uetr(clock.new_id())
