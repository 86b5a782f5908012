"""One whole service in the test's process, on real Kafka and PostgreSQL."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TypeVar

import httpx
import pytest
from aiokafka import AIOKafkaConsumer
from psycopg.conninfo import conninfo_to_dict

from local_stack.discovery import RunningStack
from local_stack.rights import ADMIN
from local_stack.stack import Stack
from payment_schemas.events.base import Event
from payment_schemas.events.subject import SubjectErased
from service_runtime.brokers import Brokers
from service_runtime.clock import SystemClock
from service_runtime.keys import KeyRing
from service_runtime.message_macs import MessageMacs
from service_runtime.operators import CHECK
from service_runtime.postgres import PostgresDatabase
from service_runtime.process import Process
from service_runtime.producer import KafkaProducer
from service_runtime.settings import HttpSettings, ServiceSettings
from testbed.database import FreshDatabase
from testkit.events import outgoing_of

E = TypeVar("E", bound=Event)
S = TypeVar("S", bound=ServiceSettings)

SECRET = "check secret"  # noqa: S105 - a test's own
ANSWER_WITHIN_S = 30
STOP_WITHIN_S = 10


def kafka_fields(infrastructure: RunningStack, principal: str = ADMIN) -> dict[str, str]:
    """Return the settings of a process; the probe may do everything on Kafka."""
    environment = infrastructure.kafka_environment(principal)
    password = environment.pop("KAFKA_PASSWORD_FILE")
    lower = {name.lower(): value for name, value in environment.items()}
    return lower | {"KAFKA_PASSWORD_FILE": password}


def callers(*scopes: str) -> str:
    """Return the credentials of machines: the check, by SECRET, with scopes (its own)."""
    digest = hashlib.sha256(SECRET.encode()).hexdigest()
    return json.dumps({"ops": {"sha256": digest, "scopes": scopes or [CHECK]}})


def settings_of(
    settings: type[S], stack: Stack, database: FreshDatabase, monkeypatch: pytest.MonkeyPatch
) -> S:
    """Return a service's settings from the stack, with the test's database.

    The service is the settings' package.
    """
    environment = stack.environment_of(settings.__module__.partition(".")[0])
    for name, value in (environment | {"DATABASE_URL": database.dsn}).items():
        monkeypatch.setenv(name, value)
    return settings()


@asynccontextmanager
async def database_of(dsn: str, folder: Path) -> AsyncIterator[PostgresDatabase]:
    """Open a database with the service's role; the password is written to the folder."""
    named = conninfo_to_dict(dsn)
    password = folder / "password"
    password.write_text(str(named["password"]))
    settings = ServiceSettings(
        port=1, kafka_bootstrap_servers="", database_url=dsn, DATABASE_PASSWORD_FILE=str(password)
    )
    async with PostgresDatabase(settings, f"{named['user']}.0") as database:
        yield database


@asynccontextmanager
async def running(process: Process) -> AsyncIterator[Process]:
    """Run a process's resources and loops without its port."""
    stopping = asyncio.Event()
    async with AsyncExitStack() as stack:
        for resource in process.resources:
            await stack.enter_async_context(resource)
        loops = [asyncio.ensure_future(loop(stopping)) for loop in process.loops]
        try:
            yield process
        finally:
            stopping.set()
            await asyncio.wait_for(asyncio.gather(*loops), STOP_WITHIN_S)


def client_of(process: Process) -> httpx.AsyncClient:
    """Return a client of the process's routes, with the secret of the check."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(process.app),
        base_url=f"http://{process.name}",
        headers={"Authorization": f"Bearer {SECRET}"},
    )


async def publish(brokers: Brokers, settings: HttpSettings, *events: Event) -> None:
    """Publish events, under the MAC keys of the service, and wait for the acknowledgement."""
    macs = MessageMacs()
    if keys := getattr(settings, "mac_keys", None):
        macs.add(keys, {type(event) for event in events})
    async with KafkaProducer(brokers, "test", macs) as producer:
        for event in events:
            clock = SystemClock()
            await (await producer.send(outgoing_of(event, clock.new_id(), clock.now())))


async def announce_erasure(
    brokers: Brokers, reader: str, keys: KeyRing | None, *user_ids: str
) -> list[str]:
    """Publish erasures as compliance does, with a MAC for a reader; without keys a forgery.

    Returns the events' ids.
    """
    macs = MessageMacs()
    if keys is not None:
        macs.add(keys, [SubjectErased], reader)
    clock, ids = SystemClock(), list[str]()
    async with KafkaProducer(brokers, "test", macs) as producer:
        for user_id in user_ids:
            event, event_id = SubjectErased(user_id=user_id), clock.new_id()
            await (await producer.send(outgoing_of(event, event_id, clock.now())))
            ids.append(str(event_id))
    return ids


async def published_events(
    brokers: Brokers, event: type[E], key: object, count: int = 1
) -> list[E]:
    """Return the first events of a key on a topic, once there are `count`."""
    found: list[E] = []
    async with AIOKafkaConsumer(
        event.topic,
        **brokers.arguments,
        auto_offset_reset="earliest",
    ) as consumer:
        while len(found) < count:
            record = await asyncio.wait_for(consumer.getone(), ANSWER_WITHIN_S)
            if record.key == str(key).encode():
                found.append(event.model_validate_json(record.value))
    return found
