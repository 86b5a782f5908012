"""The sample service, wired."""

from functools import partial

from payment_schemas.events.sample import SampleServiceRecorded

from payment_schemas.events.confirmation import PaymentConfirmed
from sample.handlers import on_payment_confirmed
from sample.routes import routes
from sample.settings import Settings
from sample.store import PostgresEntries
from service_runtime.consumer import Handler
from service_runtime.process import Process
from service_runtime.service import Service


def build(settings: Settings) -> Process:
    """Return the process: one consumer, and the admin routes."""
    service = Service("sample", settings)
    handle = partial(on_payment_confirmed, least_minor=settings.least_amount_minor)
    return service.process(
        handlers=[Handler(PaymentConfirmed, handle, PostgresEntries)],
        emits=[SampleServiceRecorded],
        routes=routes(service.database, PostgresEntries, service.operators),
    )
