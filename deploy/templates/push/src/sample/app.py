"""The sample service, wired."""

from functools import partial

from payment_schemas.events.confirmation import PaymentConfirmed
from sample.handlers import on_payment_confirmed
from sample.routes import routes
from sample.settings import Settings
from service_runtime.broadcast import Broadcast
from service_runtime.process import Process
from service_runtime.push import StreamLimits, Streams
from service_runtime.service import Service


def build(settings: Settings) -> Process:
    """Return the process: every instance reads the whole topic and sends it to its clients."""
    service = Service("sample", settings)
    streams = Streams(StreamLimits(per_user=settings.most_streams, process=settings.most_streams))
    receive = partial(on_payment_confirmed, streams=streams)
    source = service.use(Broadcast(settings.brokers, PaymentConfirmed, receive))
    service.check("broadcast", source.ready)
    service.run(source.run)
    service.run(streams.run)
    return service.process(routes=routes(streams, service.operators), reads=[PaymentConfirmed])
