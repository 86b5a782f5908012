"""Wires the server of ops."""

from ops.check.conservation import Conservation
from ops.check.sources import Sources
from ops.clients.addresses import Addresses
from ops.clients.system import System
from ops.routes import router
from ops.settings import Settings
from ops.watch import Times, Watch
from service_runtime.process import Process
from service_runtime.service import Service


def build(settings: Settings) -> Process:
    """Return the server, ready to run."""
    # No dependency makes it unready: its task is to report services that do not respond.
    service = Service("ops", settings)
    addresses = Addresses(
        settings.admin_urls,
        settings.kafka_bootstrap_servers,
        str(settings.internal_credential_file),
        admins=tuple(settings.admin_urls),
    )
    system = System(addresses)
    watch = Watch(
        Sources(system),
        Conservation(system, service.clock),
        service.clock,
        settings.limits(),
        Times(settings.check_every_s, settings.check_whole_hour),
    )
    service.run(watch.run)
    return service.process(routes=router())
