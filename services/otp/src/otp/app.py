"""Wires the service."""

from functools import partial

from otp.handlers import Codes, Rules, on_challenge_requested, on_verification_requested
from otp.routes import routes
from otp.settings import Settings
from otp.store import PostgresChallenges
from payment_schemas.events.otp import (
    Challenged,
    ChallengeRequested,
    VerificationRequested,
    Verified,
)
from service_runtime.consumer import Handler
from service_runtime.process import Process
from service_runtime.sealing import Sealer
from service_runtime.service import Service


def build(settings: Settings) -> Process:
    """Return the service, ready to run."""
    service = Service("otp", settings)
    codes = Codes(settings.code_key, service.clock, settings.code_for_everyone)
    rules = Rules(settings.code_life, settings.code_attempts)
    issue = partial(
        on_challenge_requested,
        codes=codes,
        rules=rules,
        notification=Sealer(settings.notification_sealing_key),
    )
    verify = partial(
        on_verification_requested,
        codes=codes,
        rules=rules,
        gateway=Sealer(settings.otp_sealing_key),
    )
    return service.process(
        handlers=[
            Handler(ChallengeRequested, issue, PostgresChallenges),
            Handler(VerificationRequested, verify, PostgresChallenges),
        ],
        emits=[Challenged, Verified],
        routes=routes(service.database, service.credentials, service.clock),
    )
