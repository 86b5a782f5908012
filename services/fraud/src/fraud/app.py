"""The fraud service, wired."""

from datetime import timedelta
from functools import partial
from typing import Self

from fraud.handlers import on_payment_confirmed
from fraud.routes import SET_STAGE, Api, routes, setter
from fraud.settings import Settings
from fraud.store import Activity, Registry, Scorers, load_scorers
from fraud.store.watch import Watch
from payment_schemas.events.confirmation import PaymentConfirmed
from payment_schemas.events.fraud import FraudReported
from payment_schemas.events.record import AuditRecorded
from service_runtime.admin import Findings, add_check, check_router, together
from service_runtime.consumer import Handler
from service_runtime.postgres import PostgresDatabase, PostgresTransaction
from service_runtime.process import Process
from service_runtime.retention import Retention
from service_runtime.service import Service
from service_runtime.web import HttpPolicy

ACTIVITY_LIFE = timedelta(days=45)
"""The longest span of a feature is 37 days."""
MOST_BODY_BYTES = 256 * 1024
"""A hundred payments."""


class Registration:
    """Registers the loaded models when the process starts."""

    def __init__(self, database: PostgresDatabase, scorers: Scorers) -> None:
        self._database, self._scorers = database, scorers

    async def __aenter__(self) -> Self:
        async with self._database.transaction() as tx:
            first_last = sorted(self._scorers.values(), key=lambda one: not one.card.is_first)
            for scorer in first_last:
                await Registry(tx).add(scorer.card)
        return self

    async def __aexit__(self, *_error: object) -> None:
        return None


async def check(_tx: PostgresTransaction, _since: object) -> Findings:
    """Return no findings: what could be wrong, the database refuses."""
    return Findings([], [])


def build(settings: Settings) -> Process:
    """Return the process: scores over HTTP, and the activity that they are made of."""
    service = Service("fraud", settings, policy=HttpPolicy(max_body_bytes=MOST_BODY_BYTES))
    scorers = load_scorers(settings.models_folder)
    api = Api(
        requests=service.requests,
        database=service.database,
        operators=service.operators,
        clock=service.clock,
        usd_rates=settings.usd_rates,
        scorers=scorers,
    )
    service.use(Registration(service.database, scorers))
    watch = Watch(service.database, service.clock, scorers)
    service.every("drift", settings.drift_every_s, watch.measure)
    service.retain(
        Retention("activity", "begins_at", ACTIVITY_LIFE),
        Retention("score", "scored_at", settings.score_life),
        Retention("paid", "confirmed_at", settings.payment_life),
    )
    checks = check_router(service.operators)
    add_check(checks, service.database, check)
    approvals = service.two_people({SET_STAGE: setter(api)}, "compliance.write")
    handle = partial(on_payment_confirmed, rates=settings.usd_rates)
    return service.process(
        handlers=[Handler(PaymentConfirmed, handle, Activity)],
        emits=[FraudReported, AuditRecorded],
        routes=together(routes(api, service.credentials), approvals, checks),
    )
