from collections.abc import Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import dict_row

from payment_schemas.cloudevents import Attributes, headers_of
from payment_schemas.registry import BY_TYPE
from service_runtime.consumer import Consumer, Handler
from service_runtime.messages import ProducerRecord
from service_runtime.positions import Positions
from service_runtime.postgres import PostgresDatabase
from service_runtime.relay import Relay
from service_runtime.settings import ServiceSettings
from service_runtime.unit_of_work import UnitOfWork
from testbed.database import FreshDatabase, fresh_database
from testbed.service import kafka_fields
from testkit.events import NOON
from testkit.memory import MemoryBroker, MemoryDatabase, MemorySource, SteadyClock
from testkit.probe import Count, MemoryTally, Numbered

SQL = Path(__file__).parent / "sql"
TABLES = "consumed, inbox, outbox, dead_letter, cursor, http_reply, tally, task"


def record_with(number, event=Numbered, event_id=None, lane="a", **headers):
    """The record of a number; `headers` replace those that it has, None leaves one out."""
    made = event(lane=lane, number=number)
    found = dict(headers_of(made, Attributes(event_id or UUID(int=number), NOON), "test"))
    found |= headers
    kept = tuple((name, value) for name, value in found.items() if value is not None)
    return ProducerRecord(made.topic, lane.encode(), made.model_dump_json().encode(), kept)


class FlakyDatabase(MemoryDatabase):
    """A memory database whose next transactions fail with the given faults, one each."""

    @asynccontextmanager
    async def transaction(self):
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None:
            raise fault
        async with super().transaction() as tx:
            yield tx


class Rig:
    """One consumer of numbers on memory twins."""

    def __init__(self, gather=None, after_commit=(), *, inbox=False):
        self.clock = SteadyClock(NOON)
        self.database = FlakyDatabase(self.clock)
        self.database.faults = []
        self.broker = MemoryBroker(self.clock)
        self.relay = Relay(self.database, self.broker)
        self.unit = UnitOfWork(self.database, self.relay, "probe", self.clock)
        self.source = MemorySource(self.broker, [Numbered.topic], Positions(self.database, "probe"))
        self.count = Count()
        self.handle(gather, after_commit, inbox=inbox)

    def handle(self, gather=None, after_commit=(), *, inbox=False):
        handler = Handler(Numbered, self.count, MemoryTally, gather, after_commit, inbox)
        self.consumer = Consumer("probe", self.source, self.unit, [handler], self.clock)

    async def publish(self, *numbers, **changed):
        for number in numbers:
            await self.broker.send(record_with(number, **changed))

    async def consume(self):
        await self.source.drain(self.consumer.run)
        await self.relay.flush()

    @property
    def tallied(self):
        return [line.number for line in self.database.tables.own["tally"].values()]

    @property
    def letters(self):
        return self.broker.topics[f"{Numbered.topic}-dlq"]


@pytest.fixture(autouse=True, scope="session")
def known_topic():
    BY_TYPE[Numbered.ce_type] = Numbered
    yield
    del BY_TYPE[Numbered.ce_type]


@pytest.fixture
def rig():
    return Rig()


@pytest.fixture
def make_rig():
    return Rig


@pytest.fixture
def record():
    return record_with


@pytest.fixture(scope="session")
def probe_database(infrastructure) -> Iterator[FreshDatabase]:
    with fresh_database(infrastructure, "probe", [SQL]) as database:
        yield database


@pytest.fixture(scope="session")
def probe_settings(infrastructure, probe_database, tmp_path_factory) -> ServiceSettings:
    password = tmp_path_factory.mktemp("secrets") / "password"
    password.write_text("probe")
    return ServiceSettings(
        port=1,
        **kafka_fields(infrastructure),
        database_url=probe_database.dsn,
        DATABASE_PASSWORD_FILE=str(password),
    )


@pytest.fixture
async def postgres(probe_settings, probe_database):
    """The service's own pool, on empty tables."""
    with psycopg.connect(probe_database.owner_dsn, autocommit=True) as owner:
        owner.execute(f"truncate {TABLES} restart identity")
    async with PostgresDatabase(probe_settings, "probe.0") as database:
        yield database


@pytest.fixture
def rows(probe_database):
    """Queries the database directly."""

    def ask(statement, *parameters):
        with psycopg.connect(probe_database.owner_dsn, row_factory=dict_row) as connection:
            cursor = connection.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []

    return ask


@pytest.fixture
def memory():
    return MemoryDatabase(SteadyClock(NOON))


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.stack)])
def database(request):
    return request.getfixturevalue(request.param)
