"""A service, wired: database, producer, consumer, workers and HTTP."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from functools import cache

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response

from payment_schemas.events.base import Event
from service_runtime import conservation
from service_runtime.asyncapi import asyncapi_document
from service_runtime.clock import Clock, SystemClock
from service_runtime.consumer import Consumer, Handler
from service_runtime.kafka import KafkaSource
from service_runtime.postgres import PostgresDatabase
from service_runtime.process import Process
from service_runtime.producer import KafkaProducer
from service_runtime.relay import Relay
from service_runtime.schedule import Schedule
from service_runtime.settings import ServiceSettings
from service_runtime.unit_of_work import UnitOfWork
from service_runtime.web import Credentials, HttpPolicy, JsonResponse, create_app
from service_runtime.work import Work, Worker

FORGET_EVERY_S = 600.0


class Service:
    """The parts that every service has. Its `app` adds handlers, work and routes."""

    def __init__(self, name: str, settings: ServiceSettings, clock: Clock | None = None) -> None:
        self.name = name
        self.settings = settings
        self.clock = clock or SystemClock()
        self.member = f"{name}.{settings.instance}"
        # A restarted process is another owner: its predecessor's claims are not its own.
        self.database = PostgresDatabase(settings, f"{self.member}:{self.clock.new_id()}")
        self.credentials = Credentials(settings.internal_credentials)
        self._producer = KafkaProducer(settings.kafka_bootstrap_servers, self.member)
        self._relay = Relay(self.database, self._producer)
        self._unit = UnitOfWork(self.database, self._relay, name, self.clock)

    @property
    def unit(self) -> UnitOfWork:
        """The one commit point, for what comes in by HTTP or by the clock."""
        return self._unit

    def worker(self, work: Work) -> Worker:
        """Return a worker on one of the service's work tables."""
        return Worker(work, self.database, self._unit, self.clock)

    def process(
        self,
        handlers: Sequence[Handler],
        emits: Sequence[type[Event]],
        workers: Sequence[Worker] = (),
        routes: APIRouter | None = None,
        resources: Sequence[AbstractAsyncContextManager[object]] = (),
    ) -> Process:
        """Return the process to run; `emits` is for the description of the topics."""
        reads = [handler.event for handler in handlers]
        source = KafkaSource(self.settings, self.name, [event.topic for event in reads])
        consumer = Consumer(self.name, source, self._unit, handlers, self.clock)
        consumer.batch_records = self.settings.batch_records
        app = self._app(source)
        add_asyncapi(app, self.name, reads, emits)
        may_read = self.credentials.require("ops.read")
        app.include_router(conservation.routes(self.name, consumer.topics, self.database, may_read))
        if routes is not None:
            app.include_router(routes)
        return Process(
            name=self.name,
            app=app,
            resources=(self.database, self._producer, *resources, source),
            loops=(
                consumer.run,
                *(worker.run for worker in workers),
                self._relay.run,
                source.run,
                Schedule("inbox", FORGET_EVERY_S, self.database.forget_handled).run,
            ),
        )

    def _app(self, source: KafkaSource) -> FastAPI:
        checks = {
            "database": self.database.reachable,
            "kafka": self._producer.connected,
            "partitions": source.assigned,
        }
        guard = Credentials.in_production(self.settings)
        return create_app(self.name, checks, self.clock, HttpPolicy(guard=guard))


def add_asyncapi(
    app: FastAPI, name: str, reads: Sequence[type[Event]], emits: Sequence[type[Event]]
) -> None:
    """Serve the description of the service's topics as JSON at `/asyncapi`."""
    document = cache(lambda: asyncapi_document(f"Countersign {name}", reads, emits))

    async def asyncapi(_request: Request) -> Response:
        return JsonResponse(document())

    app.add_route("/asyncapi", asyncapi, include_in_schema=False)
