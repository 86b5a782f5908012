"""A request that writes is done once: its effect, its events and its reply are one commit."""

import asyncio

import pytest
from fastapi import Request
from httpx import ASGITransport, AsyncClient

from payment_schemas.events.record import AuditRecorded
from service_runtime.http_unit import HttpUnitOfWork, Reply, StaleVersionError, version_of
from service_runtime.messages import Emit
from service_runtime.relay import Relay
from service_runtime.unit_of_work import UnitOfWork
from service_runtime.web import create_app
from testkit.events import NOON
from testkit.memory import MemoryBroker, SteadyClock

pytestmark = pytest.mark.stack
KEY = {"Idempotency-Key": "key-1"}
INSERT = "insert into tally (event_id, lane, number) values (gen_random_uuid(), 'a', %(number)s)"


class Numbers:
    """An API that writes numbers into the tally, and does what a test asks for on the way."""

    def __init__(self, database):
        clock = SteadyClock(NOON)
        self.broker = MemoryBroker(clock)
        self.relay = Relay(database, self.broker)
        unit = UnitOfWork(database, self.relay, "probe", clock)
        self.requests = HttpUnitOfWork(unit, "probe", clock)
        self.gate, self.entered = asyncio.Event(), asyncio.Event()
        self.gate.set()
        self.faults = []
        app = create_app("probe", {}, clock)
        app.add_api_route("/numbers", self.post, methods=["POST"])
        self.http = AsyncClient(transport=ASGITransport(app), base_url="http://probe")

    async def post(self, request: Request):
        caller = request.headers.get("x-caller", "ada")
        return await self.requests.run(request, caller, lambda *given: self.act(request, *given))

    async def act(self, request, tx, cause):
        version_of(request)
        asked = await request.json()
        await tx.rows(INSERT + " returning number", number=asked["number"])
        self.entered.set()
        await self.gate.wait()
        if self.faults:
            raise self.faults.pop(0)
        event = AuditRecorded(actor="ada", action="COUNTED", about=str(asked["number"]))
        return Reply(asked, asked.get("status", 200), [Emit(event, cause)])

    async def told(self):
        await self.relay.flush()
        return len(self.broker.topics[AuditRecorded.topic])


@pytest.fixture
async def numbers(postgres):
    made = Numbers(postgres)
    async with made.http:
        yield made


@pytest.fixture
def count(rows):
    return lambda: rows("select count(*) as n from tally")[0]["n"]


async def test_a_repeat_gets_the_same_bytes_and_does_nothing(numbers, count):
    body = b'{"number":7 }'
    replies = [await numbers.http.post("/numbers", content=body, headers=KEY) for _ in range(3)]
    assert {(reply.status_code, reply.content) for reply in replies} == {(200, b'{"number":7}')}
    assert (count(), await numbers.told()) == (1, 1)


async def test_a_repeat_while_the_first_is_in_progress_is_a_conflict_at_once(numbers, count):
    numbers.gate.clear()
    first = asyncio.ensure_future(numbers.http.post("/numbers", json={"number": 7}, headers=KEY))
    await numbers.entered.wait()
    second = await numbers.http.post("/numbers", json={"number": 7}, headers=KEY)
    numbers.gate.set()
    assert (second.status_code, (await first).status_code, count()) == (409, 200, 1)
    assert "in progress" in second.json()["error"]


async def test_a_key_of_another_request_is_refused_and_of_another_caller_is_another(numbers, count):
    await numbers.http.post("/numbers", json={"number": 7}, headers=KEY)
    other = await numbers.http.post("/numbers", json={"number": 8}, headers=KEY)
    query = await numbers.http.post("/numbers?x=1", json={"number": 7}, headers=KEY)
    grace = await numbers.http.post(
        "/numbers", json={"number": 8}, headers=KEY | {"X-Caller": "grace"}
    )
    assert (other.status_code, query.status_code, grace.status_code) == (422, 422, 200)
    assert count() == 2


async def test_a_refusal_writes_nothing_and_leaves_the_key_free(numbers, count):
    refused = await numbers.http.post("/numbers", json={"number": 7, "status": 409}, headers=KEY)
    done = await numbers.http.post("/numbers", json={"number": 7}, headers=KEY)
    assert (refused.status_code, done.status_code, count(), await numbers.told()) == (
        409,
        200,
        1,
        1,
    )


async def test_a_fault_leaves_nothing_behind_and_the_key_free(numbers, count):
    numbers.faults = [KeyError("x")]
    failed = await numbers.http.post("/numbers", json={"number": 7}, headers=KEY)
    done = await numbers.http.post("/numbers", json={"number": 7}, headers=KEY)
    assert (failed.status_code, done.status_code, count(), await numbers.told()) == (500, 200, 1, 1)


async def test_without_a_key_every_request_is_done(numbers, count):
    for _ in range(2):
        assert (await numbers.http.post("/numbers", json={"number": 7})).status_code == 200
    assert (count(), await numbers.told()) == (2, 2)


async def test_a_value_that_the_database_does_not_take_is_the_callers_fault(numbers):
    refused = await numbers.http.post("/numbers", json={"number": 2**40}, headers=KEY)
    assert refused.status_code == 400
    assert refused.json()["error"] == "Invalid value"


@pytest.mark.parametrize(("headers", "status"), [({}, 409), ({"If-Match": '"3"'}, 412)])
async def test_a_stale_version_is_told_by_the_way_it_was_given(numbers, count, headers, status):
    numbers.faults = [StaleVersionError("number: changed since")]
    refused = await numbers.http.post("/numbers", json={"number": 7}, headers=headers)
    assert (refused.status_code, refused.json()["error"], count()) == (
        status,
        "number: changed since",
        0,
    )


@pytest.mark.parametrize(
    "headers",
    [
        [("If-Match", "3")],
        [("If-Match", '"x"')],
        [("If-Match", f'"{"9" * 19}"')],
        [("If-Match", f'"{"9" * 5000}"')],
        [("Idempotency-Key", "")],
        [("Idempotency-Key", "x" * 256)],
        [("Idempotency-Key", "a"), ("Idempotency-Key", "b")],
    ],
)
async def test_a_malformed_header_is_named(numbers, count, headers):
    refused = await numbers.http.post("/numbers", json={"number": 7}, headers=headers)
    assert (refused.status_code, count()) == (400, 0)
    assert refused.json()["error"] == f"Invalid header: {headers[0][0]}"
