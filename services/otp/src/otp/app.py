"""Builds the otp process from its settings."""

from functools import partial

from fastapi import APIRouter

from otp.clients import HttpContacts, LookUp
from otp.handlers import (
    Codes,
    Rules,
    Unlocking,
    on_challenge_requested,
    on_verification_requested,
)
from otp.routes import routes, user_routes
from otp.settings import Settings
from otp.store import PostgresChallenges
from payment_schemas.events.otp import (
    Challenged,
    ChallengeRefused,
    ChallengeRequested,
    CodesLockChanged,
    VerificationRequested,
    Verified,
)
from payment_schemas.events.record import AuditRecorded
from service_runtime.consumer import Handler
from service_runtime.process import Process
from service_runtime.sealing import Sealer
from service_runtime.service import Service


def build(settings: Settings) -> Process:
    """Return the process to run."""
    service = Service("otp", settings)
    service.authenticate(
        settings.mac_keys,
        *(ChallengeRequested, Challenged, ChallengeRefused, VerificationRequested, Verified),
    )
    codes = Codes(settings.code_keys, service.clock, settings.code_for_everyone)
    rules = Rules(settings.code_life, settings.code_attempts, settings.limits)
    credential = settings.internal_credential.get
    contacts = service.use(HttpContacts(settings.notification_urls, credential, service.tls))
    issue = partial(
        on_challenge_requested,
        codes=codes,
        rules=rules,
        notification=Sealer(settings.notification_sealing_keys),
    )
    verify = partial(
        on_verification_requested,
        codes=codes,
        rules=rules,
        gateway=Sealer(settings.otp_sealing_keys),
    )
    return service.process(
        handlers=[
            # A code that went out cannot be taken back: its request is dropped by its id, too.
            Handler(ChallengeRequested, issue, PostgresChallenges, LookUp(contacts), inbox=True),
            Handler(VerificationRequested, verify, PostgresChallenges),
        ],
        emits=[Challenged, ChallengeRefused, Verified, CodesLockChanged, AuditRecorded],
        routes=_routes(service),
    )


def _routes(service: Service) -> APIRouter:
    unlocking = Unlocking(PostgresChallenges, service.unit.run_in_transaction, service.clock)
    router = APIRouter()
    router.include_router(routes(service.database, service.operators, service.clock))
    router.include_router(
        user_routes(service.database, service.operators, service.clock, unlocking)
    )
    return router
