"""The sample service, wired."""

from sample.handlers import import_lines
from sample.routes import routes
from sample.settings import Settings
from service_runtime.imports import StoreLines
from service_runtime.process import Process
from service_runtime.service import Service
from service_runtime.storage import object_store


def build(settings: Settings) -> Process:
    """Return the process: one instance imports new files, and every one shows what it found."""
    service = Service("sample", settings)
    lines = StoreLines(object_store(service, settings), settings.part_bytes)
    service.watch("files", lines.read, import_lines, settings.poll_s)
    return service.process(routes=routes(service.database, service.operators))
