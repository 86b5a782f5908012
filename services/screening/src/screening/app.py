"""The screening service, wired."""

from payment_schemas.events.confirmation import PaymentConfirmed, PaymentDeclined, ReviewOpened
from payment_schemas.events.record import AuditRecorded
from payment_schemas.events.risk import AssessmentRequested, RiskAssessed
from screening.clients import ListFolder, Lists
from screening.domain.exceptions import ACT
from screening.handlers import Rescreening, on_assessed, on_decided, on_requested
from screening.routes import Api, add_exception, routes
from screening.settings import Settings
from screening.store import Payments
from service_runtime.admin import Findings, add_check, check_router, together
from service_runtime.consumer import Handler
from service_runtime.jobs import Every, Job
from service_runtime.postgres import PostgresTransaction
from service_runtime.process import Process
from service_runtime.retention import Retention
from service_runtime.sealing import Sealer
from service_runtime.service import Service
from service_runtime.web import HttpPolicy

MOST_BODY_BYTES = 256 * 1024
"""A hundred parties with sealed names."""


async def check(_tx: PostgresTransaction, _since: object) -> Findings:
    """Return no findings: what could be wrong, the database refuses."""
    return Findings([], [])


def build(settings: Settings) -> Process:
    """Return the process: screenings by the lists in memory, exceptions, and rescreening."""
    service = Service("screening", settings, policy=HttpPolicy(max_body_bytes=MOST_BODY_BYTES))
    lists = service.use(Lists(ListFolder(settings.folder), settings.cached_results))
    service.every("lists", settings.lists_every_s, lists.refresh)
    sealer = Sealer(settings.sealing_keys)
    rescreening = Rescreening(
        lists=lists,
        sealer=sealer,
        database=service.database,
        unit=service.unit,
        service=service.name,
        clock=service.clock,
    )
    service.job(Job("rescreening", Every(settings.lists_every_s), rescreening.run))
    service.retain(Retention("screened_payment", "seen_at", settings.payee_life))
    api = Api(
        lists=lists,
        sealer=sealer,
        requests=service.requests,
        database=service.database,
        operators=service.operators,
        clock=service.clock,
    )
    approvals = service.two_people({ACT: add_exception}, "compliance.write")
    checks = check_router(service.operators)
    add_check(checks, service.database, check)
    return service.process(
        handlers=[
            Handler(AssessmentRequested, on_requested, Payments, every_s=0.4),
            Handler(RiskAssessed, on_assessed, Payments, every_s=0.4),
            Handler(PaymentConfirmed, on_decided, Payments, also=[PaymentDeclined], every_s=0.4),
        ],
        emits=[ReviewOpened, AuditRecorded],
        routes=together(routes(api, service.credentials), approvals, checks),
    )
