"""The generator with servers that stall, disconnect or send invalid responses."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from bench.client import Client
from bench.customers import Customer, Customers
from bench.errors import BenchmarkError
from bench.generator import closed_loop, open_loop, poisson_arrivals
from bench.measuring import response_times
from bench.operations import NO_RESPONSE, Operation, Outcome, latencies_of
from bench.payer import Payer
from bench.scenarios import Scenario

Serve = Callable[[int, asyncio.StreamWriter], Awaitable[None]]
SUCCESS = b'{"status":"SUCCESS"}'


def answer(status: int = 200, body: bytes = SUCCESS) -> bytes:
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


@asynccontextmanager
async def server(serve: Serve) -> AsyncIterator[str]:
    """Serve the given response for each request number."""
    count = iter(range(1_000_000))
    connections = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await reader.readexactly(int(head.rpartition(b"Content-Length: ")[2]))
                await serve(next(count), writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        listening.close()
        for writer in connections:
            writer.transport.abort()


def payer(url: str) -> Payer:
    return Payer(Client(url), Customers([Customer("acc-1", b"token")]), Scenario("run"))


async def test_a_stall_counts_for_all_arrivals_during_it():
    """No coordinated omission: all hundred arrivals in a stall of half a second wait."""
    stalled = asyncio.Event()

    async def serve(number: int, writer: asyncio.StreamWriter) -> None:
        if number == 0:
            asyncio.get_running_loop().call_later(0.5, stalled.set)
        await stalled.wait()
        writer.write(answer())

    async with server(serve) as url:
        one = payer(url)
        await open_loop([number / 200 for number in range(100)], one.pay)
    found = latencies_of(operation.latency_ms for operation in one.log)
    assert found.count == 100
    assert found.p50 > 150
    assert sum(operation.latency_ms > 50 for operation in one.log) > 80


async def test_a_late_operation_counts_from_its_planned_time():
    """Only one may be in flight, so nine wait in the generator."""

    async def serve(_number: int, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.05)
        writer.write(answer())

    async with server(serve) as url:
        one = payer(url)
        await open_loop([0.0] * 10, one.pay, most_in_flight=1)
    assert max(operation.latency_ms for operation in one.log) >= 10 * 50


async def test_an_operation_without_a_response_is_logged_unknown(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("bench.payer.GIVE_UP_AFTER_S", 0.2)

    async def serve(_number: int, _writer: asyncio.StreamWriter) -> None:
        return

    async with server(serve) as url:
        one = payer(url)
        await open_loop([0.0, 0.0], one.pay)
    assert [(each.outcome, each.status) for each in one.log] == [(Outcome.UNKNOWN, NO_RESPONSE)] * 2
    assert all(operation.latency_ms >= 200 for operation in one.log)


async def test_an_operation_that_was_never_sent_has_failed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("bench.payer.GIVE_UP_AFTER_S", 0.0)
    one = payer("http://127.0.0.1:1")
    await one.pay(0, asyncio.get_running_loop().time())
    assert [(each.outcome, each.status) for each in one.log] == [(Outcome.FAIL, NO_RESPONSE)]


@pytest.mark.parametrize(
    "raw", [b"HTTP/1.1 200 OK\r\n\r\n", b""], ids=["an answer without a length", "a closed line"]
)
async def test_an_invalid_response_is_logged_unknown_and_its_connection_closed(raw: bytes):
    async def serve(number: int, writer: asyncio.StreamWriter) -> None:
        if number:
            writer.write(answer())
            return
        writer.write(raw)
        if not raw:
            writer.close()

    async with server(serve) as url:
        one = payer(url)
        for number in range(2):
            await one.pay(number, asyncio.get_running_loop().time())
    assert [each.outcome for each in one.log] == [Outcome.UNKNOWN, Outcome.OK]


async def test_a_response_may_arrive_in_parts():
    async def serve(_number: int, writer: asyncio.StreamWriter) -> None:
        for byte in answer():
            writer.write(bytes([byte]))
            await writer.drain()

    async with server(serve) as url:
        one = payer(url)
        await one.pay(0, asyncio.get_running_loop().time())
    assert [each.body for each in one.log] == [SUCCESS]


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        pytest.param(200, Outcome.OK, id="told SUCCESS"),
        pytest.param(202, Outcome.UNKNOWN, id="told that it goes on"),
        pytest.param(429, Outcome.FAIL, id="refused"),
        pytest.param(503, Outcome.FAIL, id="not taken"),
        pytest.param(500, Outcome.UNKNOWN, id="broken"),
    ],
)
async def test_a_status_determines_the_outcome(status: int, outcome: Outcome):
    async def serve(_number: int, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(status))

    async with server(serve) as url:
        one = payer(url)
        await one.pay(0, asyncio.get_running_loop().time())
    assert [each.outcome for each in one.log] == [outcome]


async def test_a_code_is_sent_only_if_it_is_required():
    async def serve(number: int, writer: asyncio.StreamWriter) -> None:
        writer.write(answer((403, 200, 200)[number]))

    async with server(serve) as url:
        one = payer(url)
        for number in range(2):
            await one.pay_with_code(number, asyncio.get_running_loop().time())
    assert [(each.step, each.outcome) for each in one.log] == [
        ("order", Outcome.OK), ("code", Outcome.OK), ("order", Outcome.UNKNOWN),
    ]  # fmt: skip


async def test_every_tenth_payment_repeats_an_earlier_one():
    async def serve(_number: int, writer: asyncio.StreamWriter) -> None:
        writer.write(answer())

    async with server(serve) as url:
        one = payer(url)
        for number in range(200):
            await one.pay_or_repeat(number, asyncio.get_running_loop().time())
    names = [each.transaction_id for each in one.log]
    assert len(names) - len(set(names)) == 10


async def test_a_closed_loop_keeps_the_number_in_flight():
    most, now = 0, 0

    async def act(_number: int, _intended_s: float) -> None:
        nonlocal most, now
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.01)
        now -= 1

    await closed_loop(5, 0.2, act)
    assert most == 5


def test_arrivals_have_the_given_rate_and_are_reproducible():
    arrivals = poisson_arrivals(1000, 20, seed=7)
    assert arrivals == sorted(arrivals) == poisson_arrivals(1000, 20, seed=7)
    assert len(arrivals) == pytest.approx(20_000, rel=0.05)
    assert arrivals[-1] < 20


def test_percentiles_are_nearest_ranks():
    found = latencies_of(float(value) for value in range(1, 1001))
    assert (found.p50, found.p95, found.p99, found.p999) == (500, 950, 990, 999)
    alone = latencies_of([7.0])
    assert (alone.count, alone.p50, alone.p999) == (1, 7, 7)
    assert latencies_of([]).count == 0


def test_an_invalid_address_is_refused():
    with pytest.raises(BenchmarkError, match="must be http://host:port"):
        Client("https://somewhere")


def test_an_operation_is_acknowledged_by_success_and_by_202():
    acknowledged = [
        Operation("tx", 0, 1, Outcome.OK, status).acknowledged for status in (200, 202, 403, 0)
    ]
    assert acknowledged == [True, True, False, False]


def test_refused_requests_do_not_count_in_response_times():
    latencies_by = Operation("a", 0.0, 2.0, Outcome.OK, 200)
    given_up = Operation("b", 0.0, 15.0, Outcome.UNKNOWN, NO_RESPONSE)
    refused = Operation("c", 0.0, 0.001, Outcome.FAIL, 503)

    found = response_times([latencies_by, given_up, refused], "order")

    assert (found.count, found.p50, found.p99) == (2, 2000.0, 15000.0)
