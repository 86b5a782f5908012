"""The sample service, wired."""

from payment_schemas.events.sample import SampleServiceChanged

from sample.routes import Documents, add_documents, routes
from sample.settings import Settings
from service_runtime.process import Process
from service_runtime.service import Service
from service_runtime.storage import object_store


def build(settings: Settings) -> Process:
    """Return the process: an HTTP API whose writes emit events in the same commit."""
    service = Service("sample", settings)
    documents = Documents(object_store(service, settings), settings.most_document_bytes)
    router = routes(
        service.requests, service.database, service.operators, settings.most_items_a_page
    )
    add_documents(router, service.database, service.operators, documents)
    return service.process(emits=[SampleServiceChanged], routes=router)
