"""The screening service, wired."""

from screening.clients import ListFolder, Lists
from screening.routes import routes
from screening.settings import Settings
from service_runtime.process import Process
from service_runtime.sealing import Sealer
from service_runtime.service import Service
from service_runtime.web import HttpPolicy

MOST_BODY_BYTES = 256 * 1024
"""A hundred parties with sealed names."""


def build(settings: Settings) -> Process:
    """Return the process: an HTTP API over the lists in memory."""
    service = Service("screening", settings, policy=HttpPolicy(max_body_bytes=MOST_BODY_BYTES))
    lists = service.use(Lists(ListFolder(settings.folder), settings.cached_results))
    service.every("lists", settings.lists_every_s, lists.refresh)
    router = routes(lists, Sealer(settings.sealing_keys), service.credentials, service.operators)
    return service.process(routes=router)
