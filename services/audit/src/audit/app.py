"""Wires the audit service."""

from audit.domain import AUDITED
from audit.handlers import on_events, read_record
from audit.routes import routes
from audit.settings import Settings
from audit.store import PostgresAuditLog
from payment_schemas.events.record import AuditRecorded
from service_runtime.consumer import Handler
from service_runtime.process import Process
from service_runtime.service import Service


def build(settings: Settings) -> Process:
    """Return the process: one consumer on every event topic, and the admin routes."""
    service = Service("audit", settings)
    first, *others = AUDITED
    handler = Handler(first, on_events, PostgresAuditLog, also=others, read=read_record)
    return service.process(
        [handler],
        emits=[AuditRecorded],
        routes=routes(service.database, service.clock, service.operators),
    )
