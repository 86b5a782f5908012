"""Connections are accepted in batches, also after a lack of file descriptors."""

import asyncio
import errno
import os
import socket

import pytest
import uvicorn
import uvloop

from service_runtime import serving
from service_runtime.serving import LAST_REQUESTS_S, MOST_AT_ONCE, Accepting, Server


class Seen(asyncio.Protocol):
    """Counts connections; `third` is set by the third."""

    made = 0
    third = asyncio.Event()

    def connection_made(self, transport):
        type(self).made += 1
        transport.close()
        if self.made == 3:
            self.third.set()


@pytest.fixture(autouse=True)
def nobody_yet():
    Seen.made = 0
    Seen.third = asyncio.Event()


def listening():
    listener = socket.create_server(("127.0.0.1", 0), backlog=MOST_AT_ONCE)
    listener.settimeout(0)
    return listener


def knocking(listener, count):
    knocks = [socket.socket() for _ in range(count)]
    for one in knocks:
        one.connect(listener.getsockname())
    return knocks


async def turns_until(count):
    turns = 0
    while Seen.made < count:
        await asyncio.sleep(0)
        turns += 1
        assert turns < 1_000_000
    return turns


def test_all_waiting_connections_are_accepted_within_a_few_turns_of_the_loop():
    async def scenario():
        listener = listening()
        knocks = knocking(listener, 100)
        accepting = Accepting(listener, Seen)
        accepting.start()
        turns = await turns_until(100)
        await accepting.close()
        for one in knocks:
            one.close()
        return turns

    # uvloop's own server needs one turn for each.
    assert uvloop.run(scenario()) < 20


class NoRoomAtFirst:
    """A listener whose first accept fails for lack of file descriptors."""

    def __init__(self, listener):
        self._listener = listener
        self.refusals = 0

    def fileno(self):
        return self._listener.fileno()

    def close(self):
        self._listener.close()

    def accept(self):
        if not self.refusals:
            self.refusals += 1
            raise OSError(errno.EMFILE, "Too many open files")
        return self._listener.accept()


def test_without_file_descriptors_accepting_pauses_and_goes_on(monkeypatch):
    monkeypatch.setattr(serving, "REST_S", 0.05)

    async def scenario():
        listener = NoRoomAtFirst(listening())
        knocks = knocking(listener._listener, 3)
        accepting = Accepting(listener, Seen)
        accepting.start()
        async with asyncio.timeout(5):
            await Seen.third.wait()
        await accepting.close()
        for one in knocks:
            one.close()
        return listener.refusals

    assert uvloop.run(scenario()) == 1


def test_connections_that_wait_at_the_close_are_accepted():
    async def scenario():
        listener = listening()
        accepting = Accepting(listener, Seen)
        accepting.start()
        knocks = knocking(listener, 5)
        await accepting.close()
        for one in knocks:
            one.close()

    uvloop.run(scenario())
    assert Seen.made == 5


def test_a_closed_server_accepts_no_connection():
    async def scenario():
        listener = listening()
        address = listener.getsockname()
        accepting = Accepting(listener, Seen)
        accepting.start()
        await accepting.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, timeout=2)

    uvloop.run(scenario())


REQUEST = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"


async def app(_scope, _receive, send):
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
    )
    await send({"type": "http.response.body", "body": b"ok"})


async def with_a_server(scenario):
    """Run a scenario with a server and a client that is connected to it."""
    config = uvicorn.Config(app, port=0, lifespan="off", log_config=None, timeout_keep_alive=60)
    server = Server(config)
    listener = config.bind_socket()
    listener.listen()
    config.bind_socket = lambda: listener
    serving_it = asyncio.create_task(server.serve())
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    async with asyncio.timeout(10):
        seen = await scenario(server, reader, writer)
        await serving_it
    writer.close()
    return seen


async def answer(reader):
    return await reader.readuntil(b"\r\n\r\nok")


async def one_request_first(reader, writer):
    writer.write(REQUEST)
    assert b"connection: close" not in await answer(reader)


def test_a_request_to_a_stopping_server_is_served_with_connection_close():
    async def scenario(server, reader, writer):
        await one_request_first(reader, writer)
        server.should_exit = True
        await asyncio.sleep(LAST_REQUESTS_S / 2)
        writer.write(REQUEST)
        answered = await answer(reader)
        return answered, await reader.read()

    answered, after = uvloop.run(with_a_server(scenario))
    assert answered.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in answered
    assert after == b""


def test_a_first_request_on_an_open_connection_is_served_while_stopping():
    async def scenario(server, reader, writer):
        server.should_exit = True
        await asyncio.sleep(LAST_REQUESTS_S / 2)
        writer.write(REQUEST)
        return await answer(reader)

    assert uvloop.run(with_a_server(scenario)).startswith(b"HTTP/1.1 200")


def test_a_request_that_a_busy_server_has_not_read_when_it_closes_is_answered(monkeypatch):
    monkeypatch.setattr(serving, "LAST_REQUESTS_S", 0)

    async def scenario(server, reader, writer):
        await one_request_first(reader, writer)
        connection = writer.get_extra_info("socket")
        uvicorns = uvicorn.Server.shutdown

        async def after_a_request_that_nobody_read(self, sockets=None):
            os.write(connection.fileno(), REQUEST)
            await uvicorns(self, sockets)

        monkeypatch.setattr(uvicorn.Server, "shutdown", after_a_request_that_nobody_read)
        server.should_exit = True
        return await answer(reader)

    answered = uvloop.run(with_a_server(scenario))
    assert answered.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in answered


def test_an_idle_connection_does_not_delay_a_stop():
    async def scenario(server, reader, writer):
        await one_request_first(reader, writer)
        began_s = asyncio.get_running_loop().time()
        server.should_exit = True
        await reader.read()
        return asyncio.get_running_loop().time() - began_s

    assert uvloop.run(with_a_server(scenario)) < 5
