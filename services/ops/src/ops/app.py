"""Wires the server of ops."""

from fastapi import APIRouter

from ops.check.conservation import Conservation
from ops.check.sources import Sources
from ops.clients.addresses import Addresses
from ops.clients.system import System
from ops.routes import partners, redrives, runbooks
from ops.settings import Settings
from ops.watch import Times, Watch
from payment_schemas.events.record import AuditRecorded
from service_runtime.admin import together
from service_runtime.process import Process
from service_runtime.service import Service


def build(settings: Settings) -> Process:
    """Return the server, ready to run."""
    # No service makes it unready: its task is to report services that do not respond.
    service = Service("ops", settings)
    addresses = Addresses(
        settings.admin_urls,
        lambda: settings.brokers,
        credential_file=str(settings.internal_credential_file),
        admins=tuple(settings.admin_urls),
        tls=service.tls,
    )
    system = System(addresses)
    watch = Watch(
        Sources(system),
        Conservation(system),
        service.clock,
        settings.limits(),
        Times(settings.check_every_s, settings.check_whole_hour),
    )
    service.run(watch.run)
    return service.process(emits=[AuditRecorded], routes=_routes(service, settings))


def _routes(service: Service, settings: Settings) -> APIRouter:
    brokers, clock = settings.brokers, service.clock
    acts = {redrives.REDRIVE: redrives.approved(brokers, clock)}
    return together(
        runbooks.router(),
        redrives.routes(brokers, service.requests, service.operators, clock),
        service.two_people(acts, "dlq.redrive"),
        partners.routes(service.requests, service.operators),
    )
