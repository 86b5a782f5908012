"""Streams over real connections: order, bounds, heartbeat, slow clients, drain."""

import asyncio
import contextlib
import json
import time
from math import inf

import httpx
import pytest
import uvicorn

from service_runtime import push
from service_runtime.push import (
    EventStream,
    GrowingIds,
    ServerEvent,
    StreamLimits,
    Streams,
    Subscription,
)
from service_runtime.serving import Server
from service_runtime.web import create_app
from testkit.events import NOON
from testkit.memory import SteadyClock

LARGE = "x" * 1_000_000


def status(state, number=1):
    is_last = state == "DONE"
    return ServerEvent(json.dumps({"status": state}), "status", str(number), is_last)


class Page:
    """An app whose one route streams the events of a payment, served on a port."""

    def __init__(self, **limits):
        self.streams = Streams(StreamLimits(**limits))
        self.app = create_app("live", {}, SteadyClock(NOON))
        self.app.add_route("/events/{key}", self.events)
        self.snapshot = None
        self.ends_at_s = inf

    async def events(self, request):
        user = request.headers.get("x-user", "usr-1")
        key = request.path_params["key"]
        wish = Subscription(key, user, self.ends_at_s)
        seen = GrowingIds(request.headers.get("last-event-id"))
        return EventStream(self.streams, wish, self.snapshot, seen)

    async def opened(self, count=1):
        async with asyncio.timeout(5):
            while True:
                if self.streams.count == count:
                    return
                await asyncio.sleep(0.005)


@pytest.fixture
async def serve():
    async with contextlib.AsyncExitStack() as stack:

        async def made(**limits):
            page = Page(**limits)
            config = uvicorn.Config(page.app, port=0, lifespan="off", log_config=None, ws="none")
            server = Server(config)
            listener = config.bind_socket()
            config.bind_socket = lambda: listener
            task = asyncio.create_task(server.serve())
            while True:
                await asyncio.sleep(0.005)
                if server.started:
                    break

            async def stop():
                server.should_exit = True
                await task

            page.stop = stop
            stack.push_async_callback(stop)
            page.address = listener.getsockname()
            url = "http://{}:{}".format(*page.address)
            page.http = await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=5))
            return page

        yield made


def lines_of(stream):
    return stream.aiter_lines()


async def event_of(lines):
    """The fields of the next event, heartbeats and `retry` left out."""
    fields = {}
    async for line in lines:
        if not line and "data" in fields:
            return fields
        name, _, value = line.partition(": ")
        if name and name not in (":", "retry"):
            fields[name] = value
    return None


async def test_a_client_gets_the_present_state_and_then_each_event_in_order(serve):
    page = await serve()

    async def snapshot():
        # Published while the state is read: it must not be missed.
        page.streams.publish("tx-1", status("SENT", 2))
        return status("PENDING", 1)

    page.snapshot = snapshot
    async with page.http.stream("GET", "/events/tx-1") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = lines_of(response)
        first = await event_of(lines)
        page.streams.publish("tx-1", status("DONE", 3))
        page.streams.publish("tx-2", status("OTHER", 4))
        rest = [await event_of(lines) for _ in range(3)]

    assert first == {"event": "status", "id": "1", "data": '{"status": "PENDING"}'}
    assert [event and event["id"] for event in rest] == ["2", "3", None]
    assert page.streams.count == 0


async def test_a_silent_stream_has_a_heartbeat(serve, monkeypatch):
    monkeypatch.setattr(push, "HEARTBEAT_S", 0.02)
    page = await serve()

    async with page.http.stream("GET", "/events/tx-1") as response:
        lines = lines_of(response)
        head = [await anext(lines) for _ in range(4)]

    assert head == ["retry: 1000", "", ": ", ""]


async def test_a_client_that_leaves_frees_its_place(serve):
    page = await serve(per_user=1)
    async with page.http.stream("GET", "/events/tx-1"):
        await page.opened()
        assert (await page.http.get("/events/tx-1")).status_code == 429
        other = page.http.stream("GET", "/events/tx-1", headers={"X-User": "usr-2"})
        async with other as response:
            assert response.status_code == 200

    await page.opened(0)
    assert not page.streams.has("tx-1")


async def test_a_process_has_a_limit_of_streams(serve):
    page = await serve(process=1)
    async with page.http.stream("GET", "/events/tx-1"):
        await page.opened()
        response = await page.http.get("/events/tx-2", headers={"X-User": "usr-2"})

    assert (response.status_code, response.headers["retry-after"]) == (503, "1")


async def test_a_slow_client_is_disconnected_and_the_others_get_every_event(serve):
    page = await serve(backlog=8)
    reader, writer = await asyncio.open_connection(*page.address, limit=1024)
    writer.write(b"GET /events/tx-1 HTTP/1.1\r\nHost: x\r\n\r\n")
    await page.opened()
    got = []
    async with page.http.stream("GET", "/events/tx-1") as quick:
        await page.opened(2)
        lines = lines_of(quick)
        for number in range(40):
            page.streams.publish("tx-1", ServerEvent(LARGE, id=str(number + 1)))
            got.append((await event_of(lines))["id"])

    assert got == [str(number + 1) for number in range(40)]
    sent = 0
    with contextlib.suppress(ConnectionError):
        while chunk := await asyncio.wait_for(reader.read(65536), 5):
            last, sent = chunk, sent + len(chunk)
            if b"closing" in chunk:
                break
    assert b"event: closing\nretry: 1000\ndata: slow" in last
    assert sent < 40 * len(LARGE)
    writer.close()


async def test_a_client_that_reconnects_gets_nothing_twice(serve):
    page = await serve()

    async def snapshot():
        return status("SENT", 2)

    page.snapshot = snapshot
    seen = {"Last-Event-ID": "2"}
    async with page.http.stream("GET", "/events/tx-1", headers=seen) as response:
        await page.opened()
        page.streams.publish("tx-1", status("SENT", 2))
        page.streams.publish("tx-1", status("DONE", 3))
        assert (await event_of(lines_of(response)))["id"] == "3"


@pytest.mark.parametrize("given", ["", "x", "-1", "1" * 5000, "²"])
def test_a_last_event_id_that_is_no_number_is_none(given):
    assert GrowingIds(given)(status("SENT", 1))


def test_a_last_event_id_above_the_present_one_is_none():
    seen = GrowingIds("9")
    seen.forget_above(8)
    assert seen(status("SENT", 8))


async def test_a_client_that_has_seen_the_last_event_is_told_not_to_reconnect(serve):
    page = await serve()

    async def snapshot():
        return status("DONE", 3)

    page.snapshot = snapshot
    response = await page.http.get("/events/tx-1", headers={"Last-Event-ID": "3"})

    assert (response.status_code, response.content) == (204, b"")


async def test_a_stream_ends_with_the_token(serve):
    page = await serve()
    page.ends_at_s = time.time() + 0.05

    async with page.http.stream("GET", "/events/tx-1") as response:
        assert await event_of(lines_of(response)) == {"event": "closing", "data": "expired"}


async def test_a_stopping_process_sends_a_closing_event_and_takes_no_new_stream(serve):
    page = await serve()
    stopping = asyncio.Event()
    loop = asyncio.create_task(page.streams.run(stopping))
    async with page.http.stream("GET", "/events/tx-1") as response:
        await page.opened()
        stopping.set()
        lines = lines_of(response)
        assert await event_of(lines) == {"event": "closing", "data": "stopping"}
        assert await event_of(lines) is None
    await loop

    assert (await page.http.get("/events/tx-1")).status_code == 503


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (ServerEvent("a"), "event: message\ndata: a\n\n"),
        (ServerEvent("a\nb", "status", "7"), "event: status\nid: 7\ndata: a\ndata: b\n\n"),
        (ServerEvent(""), "event: message\ndata: \n\n"),
        (ServerEvent("\u2028"), "event: message\ndata: \u2028\n\n"),
        (ServerEvent("a\rb"), "event: message\ndata: a\ndata: b\n\n"),
        (ServerEvent("a\nevent: b", ""), ": a\n: event: b\n\n"),
        (ServerEvent("a\r\nevent: forged"), "event: message\ndata: a\ndata: event: forged\n\n"),
    ],
)
def test_data_cannot_forge_another_field(event, text):
    assert event.encoded().decode() == text
