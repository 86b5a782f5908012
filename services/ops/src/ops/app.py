"""Wires the server of ops."""

from ops.check.conservation import Conservation
from ops.check.sources import Sources
from ops.clients.addresses import Addresses
from ops.clients.system import System
from ops.routes import router
from ops.settings import Settings
from ops.watch import Times, Watch
from service_runtime.clock import SystemClock
from service_runtime.process import Process
from service_runtime.web import Credentials, HttpPolicy, create_app


def build(settings: Settings) -> Process:
    """Return the server, ready to run."""
    clock = SystemClock()
    addresses = Addresses(
        settings.admin_urls,
        settings.kafka_bootstrap_servers,
        str(settings.internal_credential_file),
    )
    system = System(addresses)
    watch = Watch(
        Sources(system),
        Conservation(system, clock),
        clock,
        settings.limits(),
        Times(settings.check_every_s, settings.check_whole_hour),
    )
    # No dependency makes it unready: an owner that does not answer is what it is there to tell.
    policy = HttpPolicy(guard=Credentials.in_production(settings))
    app = create_app("ops", {}, clock, policy)
    app.include_router(router())
    return Process("ops", app, loops=[watch.run])
