"""The sample service, wired."""

from functools import partial

from sample.handlers import make_report
from sample.routes import routes
from sample.settings import Settings
from service_runtime.jobs import Every, Job
from service_runtime.process import Process
from service_runtime.service import Service


def build(settings: Settings) -> Process:
    """Return the process: a job that one instance runs, and what it has made."""
    service = Service("sample", settings)
    make = partial(
        make_report, database=service.database, clock=service.clock, instance=settings.instance
    )
    service.job(Job("report", Every(settings.report_every_s), make, settings.catch_up))
    return service.process(routes=routes(service.database, service.operators))
