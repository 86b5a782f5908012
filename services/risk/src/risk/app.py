"""Wires the risk service."""

from functools import partial

from pydantic import HttpUrl

from payment_schemas.events.confirmation import PaymentConfirmed
from payment_schemas.events.kyc import KycStatusChanged
from payment_schemas.events.record import AuditRecorded
from payment_schemas.events.risk import AssessmentRequested, RiskAssessed
from risk.clients import Compliance, Fraud, KnownFirst, Kyc, LookUps, Ofac, Payers
from risk.domain import Policy
from risk.handlers import (
    Assessor,
    on_assessment_requested,
    on_due_assessments,
    on_kyc_status_changed,
    on_payment_confirmed,
)
from risk.routes import routes
from risk.settings import Settings
from risk.store import (
    KnownIdentities,
    PostgresAssessments,
    assessment_table,
    known_statuses,
)
from service_runtime.backoff import delay_s
from service_runtime.consumer import Handler
from service_runtime.http_client import HttpClient
from service_runtime.process import Process
from service_runtime.retention import Retention
from service_runtime.service import Service
from service_runtime.work import Work

FIRST_RETRY_S = 0.5
LATEST_RETRY_S = 10.0
LEARNED_EVERY_S = 0.1
"""Shortest time between two reads: a payment counts that much later for the next one. An attacker
gains nothing: payments that run at the same time never counted for each other."""


def recent_payments(policy: Policy) -> Retention:
    """Return the retention of payments: the velocity window. Payees and countries are kept."""
    return Retention("recent_payment", "confirmed_at", policy.velocity_window, "history")


def _ofac(service: Service, settings: Settings) -> HttpClient:
    """Return the client of the sanctions screening; a provider outside gets no secret of ours."""
    own = settings.ofac_takes_names
    return HttpClient(
        "ofac",
        str(settings.ofac_url),
        settings.look_up_timeout_s,
        settings.internal_credential.get if own else None,
        tls=service.tls if own else None,
    )


def _optional(
    service: Service, settings: Settings, name: str, address: HttpUrl | None
) -> HttpClient | None:
    """Return the client of an add-on; None where its address is not set."""
    if address is None:
        return None
    return service.use(
        HttpClient(
            name,
            str(address),
            settings.look_up_timeout_s,
            settings.internal_credential.get,
            service.tls,
        )
    )


def build(settings: Settings) -> Process:
    """Return the risk process, ready to run."""
    service = Service("risk", settings)
    service.authenticate(settings.mac_keys, AssessmentRequested, RiskAssessed, PaymentConfirmed)
    service.authenticate(settings.mac_compliance_keys, KycStatusChanged)
    ofac = service.use(_ofac(service, settings))
    kyc = service.use(HttpClient("kyc", str(settings.kyc_url), settings.look_up_timeout_s))
    rules = _optional(service, settings, "compliance", settings.compliance_url)
    models = _optional(service, settings, "fraud", settings.fraud_url)
    look_ups = LookUps(
        Ofac(ofac),
        # Without compliance nothing is announced, and nothing is read.
        KnownFirst(service.database, known_statuses, Kyc(kyc)) if rules else Kyc(kyc),
        Compliance(rules) if rules else None,
        models=Fraud(models) if models else None,
        payers=Payers(rules) if rules else None,
        takes_names=settings.ofac_takes_names,
    )
    policy = settings.policy()
    later = partial(delay_s, clock=service.clock, first_s=FIRST_RETRY_S, most_s=LATEST_RETRY_S)
    assessor = Assessor(policy, later)
    work = Work(
        table=assessment_table(),
        handle=partial(on_due_assessments, assessor=assessor),
        store=PostgresAssessments,
        gather=look_ups.for_due,
        may_start=lambda: not any(one.is_open for one in (ofac, kyc, rules) if one),
    )
    service.worker(work)
    service.retain(recent_payments(policy))
    return service.process(
        # Payments first: they count for the requests of the same poll.
        handlers=[
            Handler(
                PaymentConfirmed, on_payment_confirmed, PostgresAssessments, every_s=LEARNED_EVERY_S
            ),
            Handler(KycStatusChanged, on_kyc_status_changed, KnownIdentities),
            Handler(
                AssessmentRequested,
                partial(on_assessment_requested, assessor=assessor),
                PostgresAssessments,
                look_ups.for_requests,
            ),
        ],
        emits=[RiskAssessed, AuditRecorded],
        routes=routes(service.database, service.operators, service.clock),
    )
