"""Wires the webhooks service."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial

from fastapi import APIRouter

from payment_schemas.events.confirmation import PaymentStatusChanged
from payment_schemas.events.record import AuditRecorded
from payment_schemas.events.webhooks import WebhookEndpointChanged
from service_runtime import metrics
from service_runtime.admin import add_check, check_router, together
from service_runtime.compute import Bounds, Executor
from service_runtime.consumer import Handler
from service_runtime.edge import Admission
from service_runtime.jobs import Every, Job, Run
from service_runtime.lanes import Lanes, LaneWork
from service_runtime.process import Process
from service_runtime.retention import Retention
from service_runtime.sealing import Sealer
from service_runtime.service import Service
from webhooks import handlers
from webhooks.clients import Calls
from webhooks.clients.names import system_resolver
from webhooks.routes import routes
from webhooks.routes.admin import admin_routes
from webhooks.routes.api import Api
from webhooks.routes.of_payments import operator_routes
from webhooks.settings import LEASE_BEYOND_S, Settings
from webhooks.store import Deliveries, Endpoints, lane_table, queries

RESOLVING_THREADS = 16
"""For the names of one kind of lanes: a name server that hangs occupies them for some seconds."""
BACKLOG_EVERY_S = 10.0
SEAL_EVERY_S = 600.0


def build(settings: Settings) -> Process:
    """Return the process: consumer, sender and API of endpoints."""
    service = Service("webhooks", settings)
    workers: list[Lanes] = []

    def wake(_because: object = ()) -> None:
        for worker in workers:
            worker.wake()

    workers += [
        service.lanes(_lanes(service, settings, wake, is_fast=one)) for one in (True, False)
    ]
    fast, slow = workers
    metrics.gauge(
        "webhook_calls_open",
        "Calls in progress.",
        lambda: {"fast": float(fast.busy), "slow": float(slow.busy)},
        label="lanes",
    )

    service.retain(
        Retention("delivery", "created_at", timedelta(days=settings.delivery_days)),
        Retention("payment_state", "updated_at", timedelta(days=settings.delivery_days + 7)),
    )
    service.job(Job("seal-again", Every(SEAL_EVERY_S), partial(_seal_again, service, settings)))
    _measure_backlog(service)
    return service.process(
        handlers=[
            Handler(
                PaymentStatusChanged, handlers.on_status_changed, Deliveries, after_commit=[wake]
            )
        ],
        emits=[WebhookEndpointChanged, AuditRecorded],
        routes=_routes(service, settings, wake),
    )


def _routes(service: Service, settings: Settings, wake: Callable[[], None]) -> APIRouter:
    api = Api(
        requests=service.requests,
        database=service.database,
        admission=Admission.of(service, settings),
        sealer=Sealer(settings.sealing_keys),
        clock=service.clock,
        wake=wake,
        most_endpoints=settings.endpoints_per_user,
        writes_per_minute=settings.rate_limit_per_minute,
        reads_per_minute=settings.reads_per_minute,
        local=settings.webhook_local_targets,
    )
    checks = check_router(service.operators)
    add_check(checks, service.database, queries.check, "delivery")
    admin = admin_routes(service.database, service.operators)
    of_payments = operator_routes(service.database, service.operators)
    return together(routes(api), of_payments, admin, checks)


def _lanes(
    service: Service, settings: Settings, wake: Callable[[], None], *, is_fast: bool
) -> LaneWork:
    """Return the work of one kind of lanes; an endpoint may change its kind with each call."""
    bounds = Bounds(RESOLVING_THREADS, settings.webhook_calls, settings.webhook_timeout_s)
    names = service.use(Executor("fast-names" if is_fast else "slow-names", bounds))
    calls = Calls(
        system_resolver(names), settings.webhook_timeout_s, local=settings.webhook_local_targets
    )
    return LaneWork(
        table=lane_table(is_fast=is_fast),
        handle=partial(handlers.on_called, clock=service.clock),
        store=Deliveries,
        load=handlers.load,
        act=handlers.Sender(calls, Sealer(settings.sealing_keys), service.clock),
        lease_s=settings.webhook_timeout_s + LEASE_BEYOND_S,
        concurrency=settings.webhook_calls,
        checks_epochs=True,
        on_saved=wake,
    )


async def _seal_again(service: Service, settings: Settings, run: Run) -> None:
    """Seal secrets under the current key, so that an older key can be removed."""
    sealed = 1
    while sealed:
        async with service.database.transaction() as tx:
            await run.held.fence(tx)
            sealed = await handlers.seal_again(Endpoints(tx), settings.sealing_keys)


def _measure_backlog(service: Service) -> None:
    found = {"oldest_due_s": 0.0, "off": 0.0}

    async def read() -> None:
        async with service.database.transaction() as tx:
            found["oldest_due_s"] = await queries.oldest_due_s(tx)
            found["off"] = float(await queries.off_endpoints(tx))

    service.every("backlog", BACKLOG_EVERY_S, read)
    metrics.gauge(
        "webhook_backlog_age",
        "Seconds for which the oldest delivery to an endpoint that responds has been due.",
        lambda: found["oldest_due_s"],
    )
    metrics.gauge(
        "webhook_endpoints_off",
        "Endpoints that were switched off because they fail.",
        lambda: found["off"],
    )
