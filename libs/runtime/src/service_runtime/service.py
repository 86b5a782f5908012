"""A service's process, composed of the parts that it uses: HTTP, database, broker, workers."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import cache, cached_property, partial
from typing import Any, TypeVar

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response

from payment_schemas.events.base import Event
from payment_schemas.events.record import AuditRecorded
from payment_schemas.scopes import Scope
from service_runtime import conservation, proposals, retention, rewinding, tracing
from service_runtime.asyncapi import asyncapi_document
from service_runtime.clock import Clock, SystemClock
from service_runtime.consumer import Consumer, Handler
from service_runtime.credentials import Credentials
from service_runtime.cursor import Cursor, HandlePage, Read, Watcher
from service_runtime.http_client import HttpClient
from service_runtime.http_unit import HttpUnitOfWork
from service_runtime.jobs import Every, Job, JobRunner, Run
from service_runtime.kafka import KafkaSource
from service_runtime.keys import KeyRing
from service_runtime.lanes import Lanes, LaneWork
from service_runtime.message_macs import MessageMacs
from service_runtime.messages import Cause, Emit, ProducerRecord
from service_runtime.operators import CHECK, Operators
from service_runtime.patience import Patience
from service_runtime.positions import Positions
from service_runtime.postgres import KEYED, PostgresDatabase, PostgresTransaction, QueryProfile
from service_runtime.process import Loop, Process
from service_runtime.producer import KafkaProducer
from service_runtime.proposals import PROPOSALS, CarryOut, Show
from service_runtime.relay import Relay
from service_runtime.request_frame import METRICS
from service_runtime.retention import EVERY_S, HTTP_REPLIES, INBOX, Retention, purge
from service_runtime.schedule import repeat
from service_runtime.settings import DatabaseSettings, HttpSettings, KafkaSettings, ServiceSettings
from service_runtime.tls import Certificates
from service_runtime.tokens import TokenRules, TokenVerifier
from service_runtime.unit_of_work import UnitOfWork
from service_runtime.web import Check, HttpPolicy, JsonResponse, create_app
from service_runtime.work import Work, Worker

MOST_QUERY = 500
"""Characters of a read's query that its audit record keeps."""
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
        profile: QueryProfile = KEYED,
    ) -> None:
        self.name = name
        self.settings = settings
        self.clock = clock or SystemClock()
        self.member = f"{name}.{settings.instance}"
        self._profile = profile
        self.macs = MessageMacs()
        self.credentials = Credentials(settings.internal_credentials or "{}")
        self._resources: list[AbstractAsyncContextManager[Any]] = []
        self._loops: list[Loop] = []
        self._checks: dict[str, Check] = {}
        self._retentions: list[Retention] = []
        self._cursors: list[str] = []
        self._is_wired = False
        self.operators = self._operators()
        if settings.profile == "prod":
            policy = replace(policy, guard=self._guard)
        self.app = create_app(name, self._checks, self.clock, policy)

    def _operators(self) -> Operators:
        settings, tokens = self.settings, None
        if settings.operator_jwks_url:
            rules = TokenRules(settings.operator_issuer, settings.operator_audience)
            keys = self.use(HttpClient("operators", settings.operator_jwks_url))
            tokens = TokenVerifier(keys, rules)
        return Operators(tokens, settings.operator_issuer, self.credentials)

    async def _note_read(self, request: Request, actor: str) -> None:
        """Commit the audit record of an operator's read: without it, nothing is read."""
        cause = Cause(request.state.request_id, tracing.current_trace(), discriminator="read")
        event = AuditRecorded(
            actor=actor,
            action="OPERATOR_READ",
            about=request.url.path,
            metadata={"query": request.url.query[:MOST_QUERY]} if request.url.query else {},
        )

        async def write(_tx: PostgresTransaction) -> Sequence[ProducerRecord]:
            return [Emit(event, cause).outgoing(self.name, self.clock.now())]

        await self.unit.run_in_transaction(write)

    async def _guard(self, request: Request, scope: str) -> None:
        """Admit a caller of an internal page: a machine to the metrics, operators to the rest."""
        if scope == METRICS:
            self.credentials.admit(request, scope)
        else:
            await self.operators.admit(request, scope)

    @cached_property
    def tls(self) -> Certificates | None:
        """What this process calls others of the system with; None: plain HTTP."""
        return self.settings.certificates()

    @cached_property
    def database(self) -> PostgresDatabase:
        """The connection pool."""
        # A restarted process is another owner: its predecessor's claims are not its own.
        owner = f"{self.member}:{self.clock.new_id()}"
        settings = self._settings_as(DatabaseSettings)
        database = self.use(PostgresDatabase(settings, owner, self._profile))
        self.check("database", database.reachable)
        return database

    @cached_property
    def producer(self) -> KafkaProducer:
        """The Kafka producer."""
        brokers = self._settings_as(KafkaSettings).brokers
        producer = self.use(KafkaProducer(brokers, self.member, self.macs))
        self.check("kafka", producer.connected)
        return producer

    @cached_property
    def unit(self) -> UnitOfWork:
        """The one commit point, for what comes in by HTTP or by the clock."""
        relay = Relay(self.database, self.producer)
        self.run(relay.run)
        return UnitOfWork(self.database, relay, self.name, self.clock)

    @cached_property
    def requests(self) -> HttpUnitOfWork:
        """The commit point of HTTP requests that write."""
        self.retain(HTTP_REPLIES)
        self.operators.note_read = self._note_read
        return HttpUnitOfWork(self.unit, self.name, self.clock)

    def authenticate(self, keys: KeyRing, *events: type[Event], reader: str = "") -> None:
        """Sign what is emitted of these events, and demand a MAC of what is read, under the keys.

        Each event with `acting_readers` needs it, at its emitter and at each reader. The emitter
        calls it once for each `reader` of an event that has several.
        """
        self.macs.add(keys, events, reader or self.name)

    def two_people(
        self,
        acts: Mapping[str, CarryOut],
        scope: Scope,
        confidential: Mapping[str, Scope] | None = None,
        shown: Mapping[str, Show] | None = None,
    ) -> APIRouter:
        """Return the routes of acts that one operator proposes and another one approves.

        `confidential`: acts that only operators with one more scope see and approve. `shown`: how
        the content of an act is shown that is stored sealed.
        """
        self.retain(PROPOSALS)
        wanted = proposals.Acts(acts, scope, confidential or {}, shown or {})
        return proposals.routes(wanted, self.requests, self.operators)

    def use(self, resource: R) -> R:
        """Open a resource at start, close it at stop; return it."""
        if self._is_wired:
            raise RuntimeError(f"{self.name}: its process is made and opens nothing more")
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

    def lanes(self, work: LaneWork) -> Lanes:
        """Do each due row of a work table by itself; return the worker, to be woken."""
        worker = Lanes(work, self.database, self.unit, self.clock)
        self.run(worker.run)
        return worker

    def every(self, name: str, seconds: float, action: Callable[[], Awaitable[None]]) -> None:
        """Do something in each instance again and again, first after one interval."""
        is_first = True

        async def step() -> float:
            nonlocal is_first
            if not is_first:
                await action()
            is_first = False
            return seconds

        self._repeat(name, step)

    def job(self, job: Job) -> None:
        """Run a job at its times, in one instance of the service."""
        runner = JobRunner(job, self._cursor(f"job:{job.name}"), self.database, self.clock)
        self._repeat(job.name, runner.step)

    def watch(self, name: str, read: Read, handle: HandlePage, poll_s: float = 1.0) -> None:
        """Follow a foreign log from the cursor of that name on, in one instance."""
        commit = self.unit.run_in_transaction
        self._repeat(name, Watcher(self._cursor(name), read, handle, commit, poll_s).step)

    def retain(self, *retentions: Retention) -> None:
        """Delete rows once they are older than their tables keep them."""
        if not self._retentions:
            self.job(Job("retention", Every(EVERY_S), self._purge))
        self._retentions += retentions

    async def _purge(self, _run: Run) -> None:
        for one in self._retentions:
            await purge(self.database, one)

    def _cursor(self, name: str) -> Cursor:
        self._cursors.append(name)
        return Cursor(self.database, name)

    def _repeat(self, name: str, step: Callable[[], Awaitable[float]]) -> None:
        self.run(partial(repeat, name, step, self.clock))

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
        described = [*(event for handler in handlers for event in handler.events), *reads]
        self.macs.require(self.name, described, emits)
        if described or emits:
            add_asyncapi(self.app, self.name, described, emits)
        if routes is not None:
            self.app.include_router(routes)
        if self._cursors and "unit" in vars(self):
            self._add_rewinding()
        if "database" in vars(self):
            kept = retention.routes(self._retentions, self.database, self.operators)
            self.app.include_router(kept)
        self._is_wired = True
        return Process(self.name, self.app, self._resources, self._loops)

    def _add_rewinding(self) -> None:
        requests = self.requests
        self.app.include_router(
            rewinding.routes(self._cursors, self.database, requests, self.operators)
        )

    def _consume(self, handlers: Sequence[Handler]) -> None:
        settings = self._settings_as(ServiceSettings)
        unit = self.unit
        self.operators.note_read = self._note_read
        # Opened last: a member of the group gets records as soon as it has joined.
        topics = [event.topic for handler in handlers for event in handler.events]
        every_s = {event.topic: one.every_s for one in handlers for event in one.events}
        positions = Positions(self.database, self.name)
        patterns = [handler.pattern for handler in handlers if handler.pattern]
        source = self.use(KafkaSource(settings, self.name, topics, positions, patterns))
        source.patience = Patience(every_s)
        self.check("partitions", source.assigned)
        consumer = Consumer(self.name, source, unit, handlers, self.clock)
        consumer.batch_records = settings.batch_records
        consumer.macs = self.macs
        self.run(consumer.run)
        self.run(source.run)
        if any(handler.inbox for handler in handlers):
            self.retain(INBOX)
        may_read = self.operators.require("ops.read", or_machine=CHECK)
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
