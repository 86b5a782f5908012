"""The handler in the runtime's consumer over the twins, and the admin routes over HTTP."""

from functools import partial
from uuid import UUID, uuid4

import httpx
import pytest
from payment_schemas.events.sample import SampleServiceRecorded

from payment_schemas.events.confirmation import PaymentConfirmed
from sample.handlers import on_payment_confirmed
from sample.routes import routes
from sample.store import MemoryEntries
from service_runtime.consumer import Consumer, Handler
from service_runtime.positions import Positions
from service_runtime.relay import Relay
from service_runtime.unit_of_work import UnitOfWork
from service_runtime.web import create_app
from testkit.events import NOON, PAYMENT, event_of, outgoing_of
from testkit.memory import MemoryBroker, MemoryDatabase, MemorySource, SteadyClock
from testkit.operators import operators, signed_in


class World:
    """The service on the twins."""

    def __init__(self):
        self.clock = SteadyClock(NOON)
        self.database = MemoryDatabase(self.clock)
        self.broker = MemoryBroker(self.clock)
        unit = UnitOfWork(self.database, Relay(self.database, self.broker), "sample", self.clock)
        handle = partial(on_payment_confirmed, least_minor=100)
        handlers = [Handler(PaymentConfirmed, handle, MemoryEntries)]
        positions = Positions(self.database, "sample")
        self.source = MemorySource(self.broker, [PaymentConfirmed.topic], positions)
        self.consumer = Consumer("sample", self.source, unit, handlers, self.clock)

    async def read(self, *events):
        for event in events:
            await self.broker.send(outgoing_of(event, uuid4()))
        await self.source.drain(self.consumer.run)

    def emitted(self):
        return [
            SampleServiceRecorded.model_validate_json(record.value)
            for record in self.broker.topics[SampleServiceRecorded.topic]
        ]

    def http(self, **headers):
        app = create_app("sample", {}, self.clock)
        app.include_router(routes(self.database, MemoryEntries, operators()))
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://sample",
            headers=headers or signed_in("ops.read"),
        )


@pytest.fixture
def world():
    return World()


async def test_a_payment_that_is_confirmed_twice_is_recorded_and_told_once(world):
    await world.read(event_of(PaymentConfirmed), event_of(PaymentConfirmed))
    await world.read(event_of(PaymentConfirmed))

    (event,) = world.emitted()
    assert (event.payment_id, event.amount_minor) == (PAYMENT, 520_000)


async def test_a_payment_below_the_least_amount_is_not_recorded(world):
    await world.read(event_of(PaymentConfirmed, amount_minor=99))
    assert world.emitted() == []


async def test_operators_see_an_entry_and_a_clean_check(world):
    await world.read(event_of(PaymentConfirmed))
    async with world.http() as http:
        found = (await http.get("/admin/entries", params={"payment_id": str(PAYMENT)})).json()
        check = (await http.get("/admin/check")).json()
    assert [entry["currency"] for entry in found["entries"]] == ["USD"]
    assert check == {"violations": [], "unfinished": [], "parked": 0, "dead_letters": 0}


async def test_a_stranger_sees_nothing(world):
    async with world.http(Authorization="Bearer guessed") as http:
        answer = await http.get("/admin/entries", params={"payment_id": str(UUID(int=1))})
    assert answer.status_code == 401
