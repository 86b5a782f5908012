"""A service's process, composed of the parts that it uses: HTTP, database, broker, workers."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import cache, cached_property
from typing import Any, TypeVar

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response

from payment_schemas.events.base import Event
from service_runtime import conservation
from service_runtime.asyncapi import asyncapi_document
from service_runtime.clock import Clock, SystemClock
from service_runtime.consumer import Consumer, Handler
from service_runtime.kafka import KafkaSource
from service_runtime.postgres import PostgresDatabase
from service_runtime.process import Loop, Process
from service_runtime.producer import KafkaProducer
from service_runtime.relay import Relay
from service_runtime.schedule import Schedule
from service_runtime.settings import DatabaseSettings, HttpSettings, KafkaSettings, ServiceSettings
from service_runtime.unit_of_work import UnitOfWork
from service_runtime.web import Check, Credentials, HttpPolicy, JsonResponse, create_app
from service_runtime.work import Work, Worker

FORGET_EVERY_S = 600.0
R = TypeVar("R", bound=AbstractAsyncContextManager[Any])
S = TypeVar("S", bound=HttpSettings)


class Service:
    """The parts of one process. A part exists, and is opened at start, once it is first used.

    `database`, `producer` and `unit` need the settings of their kind: an HTTP API whose settings
    are `HttpSettings` has none of them, and its environment need not name their addresses.
    """

    def __init__(
        self,
        name: str,
        settings: HttpSettings,
        clock: Clock | None = None,
        policy: HttpPolicy = HttpPolicy(),  # noqa: B008 - frozen
    ) -> None:
        self.name = name
        self.settings = settings
        self.clock = clock or SystemClock()
        self.member = f"{name}.{settings.instance}"
        self.credentials = Credentials(settings.internal_credentials)
        self._resources: list[AbstractAsyncContextManager[Any]] = []
        self._loops: list[Loop] = []
        self._checks: dict[str, Check] = {}
        policy = replace(policy, guard=Credentials.in_production(settings))
        self.app = create_app(name, self._checks, self.clock, policy)

    @cached_property
    def database(self) -> PostgresDatabase:
        """The connection pool."""
        # A restarted process is another owner: its predecessor's claims are not its own.
        owner = f"{self.member}:{self.clock.new_id()}"
        database = self.use(PostgresDatabase(self._settings_as(DatabaseSettings), owner))
        self.check("database", database.reachable)
        return database

    @cached_property
    def producer(self) -> KafkaProducer:
        """The Kafka producer."""
        servers = self._settings_as(KafkaSettings).kafka_bootstrap_servers
        producer = self.use(KafkaProducer(servers, self.member))
        self.check("kafka", producer.connected)
        return producer

    @cached_property
    def unit(self) -> UnitOfWork:
        """The one commit point, for what comes in by HTTP or by the clock."""
        relay = Relay(self.database, self.producer)
        self.run(relay.run)
        return UnitOfWork(self.database, relay, self.name, self.clock)

    def use(self, resource: R) -> R:
        """Open a resource at start, close it at stop; return it."""
        self._resources.append(resource)
        return resource

    def run(self, loop: Loop) -> None:
        """Run a loop from start to stop."""
        self._loops.append(loop)

    def check(self, name: str, check: Check) -> None:
        """Be ready only while the check passes."""
        self._checks[name] = check

    def worker(self, work: Work) -> Worker:
        """Run a worker on one of the service's work tables; return it, to be woken."""
        worker = Worker(work, self.database, self.unit, self.clock)
        self.run(worker.run)
        return worker

    def process(
        self,
        handlers: Sequence[Handler] = (),
        emits: Sequence[type[Event]] = (),
        routes: APIRouter | None = None,
        reads: Sequence[type[Event]] = (),
    ) -> Process:
        """Return the process to run.

        `emits`, and `reads` beside the handlers' events, are for the description of the topics.
        """
        if handlers:
            self._consume(handlers)
        described = [*(handler.event for handler in handlers), *reads]
        if described or emits:
            add_asyncapi(self.app, self.name, described, emits)
        if routes is not None:
            self.app.include_router(routes)
        return Process(self.name, self.app, self._resources, self._loops)

    def _consume(self, handlers: Sequence[Handler]) -> None:
        settings = self._settings_as(ServiceSettings)
        unit = self.unit
        # Opened last: a member of the group gets records as soon as it has joined.
        source = self.use(KafkaSource(settings, self.name, [each.event.topic for each in handlers]))
        self.check("partitions", source.assigned)
        consumer = Consumer(self.name, source, unit, handlers, self.clock)
        consumer.batch_records = settings.batch_records
        self.run(consumer.run)
        self.run(source.run)
        self.run(Schedule("inbox", FORGET_EVERY_S, self.database.forget_handled).run)
        may_read = self.credentials.require("ops.read")
        routes = conservation.routes(self.name, consumer.topics, self.database, may_read)
        self.app.include_router(routes)

    def _settings_as(self, kind: type[S]) -> S:
        if not isinstance(self.settings, kind):
            raise TypeError(f"{self.name}: its settings must be {kind.__name__} for this")
        return self.settings


def add_asyncapi(
    app: FastAPI, name: str, reads: Sequence[type[Event]], emits: Sequence[type[Event]]
) -> None:
    """Serve the description of the service's topics as JSON at `/asyncapi`."""
    document = cache(lambda: asyncapi_document(f"Countersign {name}", reads, emits))

    async def asyncapi(_request: Request) -> Response:
        return JsonResponse(document())

    app.add_route("/asyncapi", asyncapi, include_in_schema=False)
