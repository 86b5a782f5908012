"""The sample service, wired."""

from payment_schemas.events.sample import SampleServiceChanged

from sample.routes import routes
from sample.settings import Settings
from service_runtime.process import Process
from service_runtime.service import Service


def build(settings: Settings) -> Process:
    """Return the process: an HTTP API whose writes emit events in the same commit."""
    service = Service("sample", settings)
    return service.process(
        emits=[SampleServiceChanged],
        routes=routes(
            service.requests, service.database, service.credentials, settings.most_items_a_page
        ),
    )
