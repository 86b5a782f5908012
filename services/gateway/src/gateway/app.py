"""Wires the gateway."""

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path

from gateway.clients.confirmation import Answers, KafkaConfirmation
from gateway.clients.forwarding import HttpForwarding
from gateway.clients.published_keys import PARTNER_KEYS, HttpKeys, PublishedKeys
from gateway.clients.reads import ConfirmReads
from gateway.clients.statuses import StatusFeed
from gateway.clients.wallet import Mocks, page_files
from gateway.domain import SCOPE
from gateway.routes.confirm import ConfirmRoute
from gateway.routes.description import document
from gateway.routes.events import EventsRoute
from gateway.routes.forward import ForwardRoute, Uploads
from gateway.routes.published_keys import PublishedKeysRoute
from gateway.routes.reads import ReadRoute
from gateway.routes.socket import SocketRoute
from gateway.routes.wallet import WalletRoutes
from gateway.settings import Settings
from payment_schemas.encrypted import KEYS_PATH
from payment_schemas.events.confirmation import (
    ConfirmAnswered,
    ConfirmRequested,
    PaymentStatusChanged,
)
from service_runtime.edge import Access, Admission
from service_runtime.logs import Log
from service_runtime.process import Process
from service_runtime.push import StreamLimits, Streams
from service_runtime.sealing import Sealer, seal_code, seal_name
from service_runtime.service import Service
from service_runtime.web import App, HttpPolicy

WATCH_S = 1.0
_log = Log("gateway")


def build(settings: Settings) -> Process:
    """Return the process to run."""
    service = Service("gateway", settings, policy=HttpPolicy(begins_traces=True))
    demanded = "required" if settings.demands_encryption else "optional"
    _log.info("end_to_end_encryption", status=demanded, reason="set" if settings.e2e else "default")
    service.authenticate(settings.confirm_mac_keys, ConfirmRequested, ConfirmAnswered)
    producer = service.producer
    answers = service.use(Answers(settings.brokers, settings.instance, service.macs))
    service.run(answers.run)
    service.check("answers", answers.ready)
    expires_after = timedelta(seconds=settings.command_expires_after_s)
    admission = Admission.of(service, settings)
    confirm = ConfirmRoute(
        admission=admission,
        access=Access(SCOPE, settings.rate_limit_per_minute),
        confirmation=KafkaConfirmation(
            producer, answers, service.clock, settings.waiting_requests, expires_after
        ),
        seal=partial(seal_code, Sealer(settings.otp_sealing_keys), settings.code_tag_keys),
        seal_name=partial(seal_name, Sealer(settings.screening_sealing_keys)),
        answer_within_s=settings.answer_within_s,
        strict_keys=settings.strict_idempotency_keys,
        currencies=settings.currencies,
        trusts_all=settings.profile == "dev",
        clock=service.clock,
        demands_encryption=settings.demands_encryption,
    )
    reads = service.use(
        ConfirmReads(settings.confirm_urls, settings.internal_credential.get, service.tls)
    )
    read_access = Access(SCOPE, settings.reads_per_minute, limit="read")
    read = ReadRoute(admission, read_access, reads)
    settlement = HttpKeys("settlement", [settings.settlement_url], PARTNER_KEYS, tls=service.tls)
    encryption = HttpKeys("confirm", settings.confirm_urls, KEYS_PATH, tls=service.tls)
    keys = {PARTNER_KEYS: service.use(settlement), KEYS_PATH: service.use(encryption)}
    add_routes(service.app, confirm, read, keys)
    streams = _streams(service, settings)
    add_live_routes(
        service.app,
        EventsRoute(admission, read_access, reads, streams),
        SocketRoute(admission, read_access, reads, streams, settings.allowed_origins),
    )
    add_public_routes(service, settings, admission)
    if settings.has_wallet:
        mocks = service.use(Mocks(settings.token_issuer, settings.wallet_sms_url))
        WalletRoutes(page_files(Path(settings.wallet_folder)), mocks).add_to(service.app)
    return service.process(emits=[ConfirmRequested], reads=[ConfirmAnswered, PaymentStatusChanged])


def _streams(service: Service, settings: Settings) -> Streams:
    """Return the process's streams, fed by the topic of all changes of a status."""
    streams = Streams(StreamLimits(settings.streams_per_user, settings.streams))
    feed = service.use(StatusFeed(settings.brokers, streams))
    service.run(feed.run)
    service.run(streams.run)
    service.check("status feed", feed.ready)
    service.every("status feed", WATCH_S, feed.watch)
    return streams


def add_routes(
    app: App, confirm: ConfirmRoute, read: ReadRoute, keys: Mapping[str, PublishedKeys]
) -> None:
    """Add the edge's routes as plain Starlette routes: twice the throughput of FastAPI's."""
    app.add_hot_route("POST", "/payment/confirm", confirm.__call__)
    app.add_route("/payment/{transaction_id}", read.__call__, methods=["GET"])
    for path, published in keys.items():
        app.add_route(path, PublishedKeysRoute(published).__call__, methods=["GET"])
    app.openapi = partial(document, app.title)  # type: ignore[method-assign]


def add_public_routes(service: Service, settings: Settings, admission: Admission) -> None:
    """Forward the public paths of other services to them, after the gateway's own routes."""
    uploads = Uploads(settings.upload_paths)
    # A path with a `*` lies within the paths of another service: it comes first.
    for path, urls in sorted(settings.public_routes.items(), key=lambda one: "*" not in one[0]):
        credential = settings.internal_credential.get
        forwarding = HttpForwarding(path, urls.split(","), credential, service.tls)
        service.use(forwarding)
        ForwardRoute(path, forwarding, admission.address, uploads).add_to(service.app)


def add_live_routes(app: App, events: EventsRoute, socket: SocketRoute) -> None:
    """Add the routes that stay open."""
    # Without the framework a stream holds a quarter less memory.
    app.add_hot_route("GET", "/payment/{transaction_id}/events", events.__call__)
    app.add_route("/ws", socket.upgrade_required, methods=["GET"])
    app.add_socket("/ws", socket.__call__)
