"""Wires the audit service."""

from audit.domain import AUDITED
from audit.handlers import on_event
from audit.routes import routes
from audit.settings import Settings
from audit.store import PostgresAuditLog
from service_runtime.consumer import Handler
from service_runtime.process import Process
from service_runtime.service import Service


def build(settings: Settings) -> Process:
    """Return the process: one consumer on every event topic, and the admin routes."""
    service = Service("audit", settings)
    handlers = [Handler(event, on_event, PostgresAuditLog) for event in AUDITED]
    return service.process(
        handlers,
        routes=routes(service.database, service.clock, service.credentials),
    )
