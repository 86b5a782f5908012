"""Builds the confirm process from its settings."""

from datetime import timedelta
from functools import partial

from fastapi import APIRouter

from confirm import handlers
from confirm.clients.opening import Opening, Seals, Workers
from confirm.clients.transit_keys import TransitKeys
from confirm.domain.payment import Policy
from confirm.routes import OPEN, Access, encryption_routes, open_approved, routes
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
from service_runtime.compute import Bounds, Executor
from service_runtime.consumer import Handle, Handler
from service_runtime.file_keys import FileKeys
from service_runtime.key_provider import KeyProvider
from service_runtime.key_sets import EncryptionKeys
from service_runtime.process import Process
from service_runtime.retention import Retention
from service_runtime.sealing import Sealer, seal_code, seal_name
from service_runtime.service import Service
from service_runtime.work import Work

QUEUED = 16
"""Calls that may wait for a worker: two batches at most do at once, and a reading of the keys."""
OPENED_WITHIN_S = 5.0
"""For a slice of a batch; Vault has 2 s for one request, and is asked once while it is away."""
TOKENS = Retention("request_token", "used_at", timedelta(days=1))

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
    opening = _opening(service, settings)
    service.retain(TOKENS)
    service.worker(Work(PostgresDeadlines(), handlers.on_due_payments, PostgresPayments))
    return service.process(
        handlers=_handlers(service.clock, policy, opening),
        emits=EMITS,
        routes=_routes(service, policy, opening),
    )


def _authenticate(service: Service, settings: Settings) -> None:
    service.authenticate(settings.gateway_mac_keys, ConfirmRequested, ConfirmAnswered)
    service.authenticate(
        settings.risk_mac_keys, AssessmentRequested, RiskAssessed, PaymentConfirmed
    )
    codes = (ChallengeRequested, Challenged, ChallengeRefused, VerificationRequested, Verified)
    service.authenticate(settings.otp_mac_keys, *codes)
    service.authenticate(settings.settlement_mac_keys, SettlementRequested, SettlementUpdated)


def _opening(service: Service, settings: Settings) -> Opening:
    keys = EncryptionKeys(settings.e2e_key_files, settings.e2e_passphrase)
    workers = settings.e2e_workers
    executor = service.use(Executor("encryption", Bounds(workers, QUEUED, OPENED_WITHIN_S)))
    seals = Seals(
        partial(seal_code, Sealer(settings.otp_sealing_keys), settings.code_tag_keys),
        partial(seal_name, Sealer(settings.screening_sealing_keys)),
    )
    provider = service.use(_provider(settings))
    opening = Opening(keys, provider, Workers(executor, workers), seals, settings.currencies)
    service.run(opening.run)
    return opening


def _provider(settings: Settings) -> KeyProvider:
    """Return where the private keys are; raise Unavailable where their token is away."""
    match settings.e2e_keys_at:
        case "files":
            return FileKeys()
        case "pkcs11":
            # Imported here: only an installation with a token needs the library.
            from confirm.clients.token_keys import TokenKeys  # noqa: PLC0415

            return TokenKeys(settings.pkcs11_module, settings.pkcs11_token, settings.pkcs11_pin)
        case "transit":
            assert settings.transit_token is not None  # noqa: S101 - the settings demand it
            credential = settings.transit_token.get
            return TransitKeys(settings.transit_url, credential, settings.transit_tls_ca)


def _routes(service: Service, policy: Policy, opening: Opening) -> APIRouter:
    access = Access(service.credentials, service.operators)
    return together(
        encryption_routes(opening.published),
        routes(service.database, service.requests, access, policy.currencies, service.clock),
        service.two_people({OPEN: open_approved}, "accounts.open"),
    )


def _handlers(clock: Clock, policy: Policy, opening: Opening) -> list[Handler]:
    """Return the handlers; results come first, because they finish payments."""
    draw_uetr = partial(new_uetr, clock)
    by_event: list[tuple[type[Event], Handle]] = [
        (Verified, partial(handlers.on_verified, policy=policy)),
        (Challenged, partial(handlers.on_challenged, policy=policy)),
        (ChallengeRefused, handlers.on_challenge_refused),
        (ReviewOpened, handlers.on_review_opened),
        (RiskAssessed, partial(handlers.on_risk_assessed, policy=policy)),
    ]
    request = partial(handlers.on_confirm_requested, policy=policy, draw_uetr=draw_uetr)
    requested = Handler(ConfirmRequested, request, PostgresPayments, opening.gather)
    # A settlement follows the customer's answer, and must not take the CPU from the next one's.
    settled = Handler(
        SettlementUpdated, handlers.on_settlement_updated, PostgresPayments, every_s=0.4
    )
    results = (Handler(event, handle, PostgresPayments) for event, handle in by_event)
    return [settled, *results, requested]


def new_uetr(clock: Clock) -> Uetr:
    """Draw a new payment's UETR."""
    return Uetr(clock.new_id())
