"""The compliance service, wired."""

from functools import partial

from compliance.domain.rulebook import Rulebook
from compliance.handlers import Handlers, stores
from compliance.routes import CLOSE_CASE, SET_RULE, Api, close_case, routes, set_rule
from compliance.settings import Settings
from payment_schemas.events.confirmation import PaymentConfirmed, ReviewOpened
from payment_schemas.events.record import AuditRecorded
from payment_schemas.events.risk import RiskAssessed
from service_runtime.admin import Findings, add_check, check_router, together
from service_runtime.consumer import Handler
from service_runtime.postgres import PostgresTransaction
from service_runtime.process import Process
from service_runtime.proposals import CarryOut
from service_runtime.retention import Retention
from service_runtime.service import Service


async def check(_tx: PostgresTransaction, _since: object) -> Findings:
    """Return no findings: what could be wrong, the database refuses."""
    return Findings([], [])


def build(settings: Settings) -> Process:
    """Return the process: checks over HTTP, and the history that they read."""
    service = Service("compliance", settings)
    api = Api(
        requests=service.requests,
        database=service.database,
        operators=service.operators,
        clock=service.clock,
        usd_rates=settings.usd_rates,
        book=Rulebook(),
        zone=settings.zone,
        filer=settings.institution,
    )
    service.retain(
        Retention("known_payment", "seen_at", settings.history_life),
        Retention("compliance_check", "created_at", settings.check_life),
        Retention("review_case", "closed_at", settings.case_life),
    )
    checks = check_router(service.operators)
    add_check(checks, service.database, check)
    acts: dict[str, CarryOut] = {SET_RULE: set_rule, CLOSE_CASE: partial(close_case, api)}
    approvals = service.two_people(acts, "compliance.write", {CLOSE_CASE: "reviews.write"})
    read = Handlers(settings.zone)
    return service.process(
        handlers=[
            Handler(RiskAssessed, read.on_risk_assessed, stores),
            Handler(PaymentConfirmed, read.on_payment_confirmed, stores),
            Handler(ReviewOpened, read.on_review_opened, stores),
        ],
        emits=[AuditRecorded],
        routes=together(routes(api, service.credentials), approvals, checks),
    )
