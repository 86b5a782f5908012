"""Builds the confirm process from its settings."""

from functools import partial

from fastapi import APIRouter

from confirm import handlers
from confirm.domain.payment import Policy
from confirm.routes import OPEN, Access, open_approved, routes
from confirm.settings import Settings
from confirm.store.postgres import PostgresDeadlines, PostgresPayments
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
    VerificationRequested,
    Verified,
)
from payment_schemas.events.record import AuditRecorded
from payment_schemas.events.risk import AssessmentRequested, RiskAssessed
from payment_schemas.events.settlement import SettlementRequested, SettlementUpdated
from payment_schemas.ids import Uetr
from service_runtime.admin import together
from service_runtime.clock import Clock
from service_runtime.consumer import Handle, Handler
from service_runtime.process import Process
from service_runtime.service import Service
from service_runtime.work import Work

EMITS = (
    AssessmentRequested,
    ChallengeRequested,
    VerificationRequested,
    ConfirmAnswered,
    PaymentConfirmed,
    PaymentDeclined,
    PaymentStatusChanged,
    ReviewOpened,
    SettlementRequested,
    AuditRecorded,
)


def build(settings: Settings) -> Process:
    """Return the process to run."""
    service = Service("confirm", settings)
    _authenticate(service, settings)
    policy = settings.policy()
    service.worker(Work(PostgresDeadlines(), handlers.on_due_payments, PostgresPayments))
    return service.process(
        handlers=_handlers(service.clock, policy),
        emits=EMITS,
        routes=_routes(service, policy),
    )


def _authenticate(service: Service, settings: Settings) -> None:
    service.authenticate(settings.gateway_mac_keys, ConfirmRequested, ConfirmAnswered)
    service.authenticate(
        settings.risk_mac_keys, AssessmentRequested, RiskAssessed, PaymentConfirmed
    )
    codes = (ChallengeRequested, Challenged, ChallengeRefused, VerificationRequested, Verified)
    service.authenticate(settings.otp_mac_keys, *codes)
    service.authenticate(settings.settlement_mac_keys, SettlementRequested, SettlementUpdated)


def _routes(service: Service, policy: Policy) -> APIRouter:
    access = Access(service.credentials, service.operators)
    return together(
        routes(service.database, service.requests, access, policy.currencies),
        service.two_people({OPEN: open_approved}, "accounts.open"),
    )


def _handlers(clock: Clock, policy: Policy) -> list[Handler]:
    """Return the handlers; results come first, because they finish payments."""
    draw_uetr = partial(new_uetr, clock)
    by_event: list[tuple[type[Event], Handle]] = [
        (Verified, partial(handlers.on_verified, policy=policy)),
        (Challenged, partial(handlers.on_challenged, policy=policy)),
        (ChallengeRefused, handlers.on_challenge_refused),
        (RiskAssessed, partial(handlers.on_risk_assessed, policy=policy)),
        (
            ConfirmRequested,
            partial(handlers.on_confirm_requested, policy=policy, draw_uetr=draw_uetr),
        ),
    ]
    # A settlement follows the customer's answer, and must not take the CPU from the next one's.
    settled = Handler(
        SettlementUpdated, handlers.on_settlement_updated, PostgresPayments, is_patient=True
    )
    return [settled, *(Handler(event, handle, PostgresPayments) for event, handle in by_event)]


def new_uetr(clock: Clock) -> Uetr:
    """Draw a new payment's UETR."""
    return Uetr(clock.new_id())
