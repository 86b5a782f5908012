"""Wires the audit service."""

from audit.domain import AUDITED
from audit.handlers import on_events, read_record
from audit.handlers.sealing import Checkpoints, History, SealWatch
from audit.routes import routes
from audit.settings import Settings
from audit.store import PostgresAuditLog
from audit.store.archive import Archive
from payment_schemas.events.record import AuditRecorded
from service_runtime.consumer import Handler
from service_runtime.jobs import Every, Job
from service_runtime.process import Process
from service_runtime.service import Service
from service_runtime.storage import object_store

HISTORY_EVERY_S = 60.0
WATCH_EVERY_S = 15.0


def build(settings: Settings) -> Process:
    """Return the process: one consumer on every event topic, checkpoints, the admin routes."""
    service = Service("audit", settings)
    _seal(service, settings)
    first, *others = AUDITED
    handler = Handler(first, on_events, PostgresAuditLog, also=others, read=read_record)
    return service.process(
        [handler],
        emits=[AuditRecorded],
        routes=routes(service.database, service.clock, service.operators),
    )


def _seal(service: Service, settings: Settings) -> None:
    """Write checkpoints of the trees, and add the rows of before to trees."""
    archive = Archive(object_store(service, settings), settings.audit_signing_keys)
    checkpoints = Checkpoints(service.database, archive, service.clock)
    service.job(Job("checkpoint", Every(settings.checkpoint_every_s), checkpoints.run))
    service.job(Job("history", Every(HISTORY_EVERY_S), History(service.database).run))
    service.every("seals", WATCH_EVERY_S, SealWatch(service.database).count)
