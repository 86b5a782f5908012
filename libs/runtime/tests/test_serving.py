"""Connections are accepted in bunches, also after there was no room for them."""

import asyncio
import errno
import socket

import pytest
import uvloop

from service_runtime import serving
from service_runtime.serving import MOST_AT_ONCE, Accepting


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


def test_all_who_wait_are_accepted_within_a_few_turns_of_the_loop():
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

    # uvloop's own server needs a turn for each.
    assert uvloop.run(scenario()) < 20


class NoRoomAtFirst:
    """A listener that once has no file descriptor left."""

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


def test_without_room_it_rests_and_goes_on(monkeypatch):
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


def test_whoever_waits_when_it_closes_is_accepted():
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


def test_closed_it_turns_everyone_away():
    async def scenario():
        listener = listening()
        address = listener.getsockname()
        accepting = Accepting(listener, Seen)
        accepting.start()
        await accepting.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, timeout=2)

    uvloop.run(scenario())
