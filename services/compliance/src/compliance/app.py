"""The compliance service, wired."""

from compliance.domain.rulebook import Rulebook
from compliance.handlers import on_payment_confirmed, on_risk_assessed
from compliance.routes import SET_RULE, Api, routes, set_rule
from compliance.settings import Settings
from compliance.store import Payments
from payment_schemas.events.confirmation import PaymentConfirmed
from payment_schemas.events.record import AuditRecorded
from payment_schemas.events.risk import RiskAssessed
from service_runtime.admin import Findings, add_check, check_router, together
from service_runtime.consumer import Handler
from service_runtime.postgres import PostgresTransaction
from service_runtime.process import Process
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
    )
    service.retain(
        Retention("known_payment", "seen_at", settings.history_life),
        Retention("compliance_check", "created_at", settings.check_life),
    )
    checks = check_router(service.operators)
    add_check(checks, service.database, check)
    approvals = service.two_people({SET_RULE: set_rule}, "compliance.write")
    return service.process(
        handlers=[
            Handler(RiskAssessed, on_risk_assessed, Payments),
            Handler(PaymentConfirmed, on_payment_confirmed, Payments),
        ],
        emits=[AuditRecorded],
        routes=together(routes(api, service.credentials), approvals, checks),
    )
