"""The proxy forwards, holds and resets connections."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator

import pytest
from chaos_links import SLOW_S, Link

WITHIN_S = 20


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        writer.write(line)
    writer.close()


@pytest.fixture
async def link() -> AsyncIterator[Link]:
    """A link to a server that returns each line."""
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    link = Link("echo", free_port(), server.sockets[0].getsockname()[1])
    await link.open()
    yield link
    await link.close()
    server.close()


async def asked(link: Link):
    reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
    writer.write(b"hello\n")
    return reader, writer


async def test_an_open_link_carries_both_ways(link: Link):
    reader, writer = await asked(link)
    assert await asyncio.wait_for(reader.readline(), WITHIN_S) == b"hello\n"
    writer.close()


async def test_a_slow_link_delays(link: Link):
    link.become("slow")
    began_s = time.monotonic()
    reader, writer = await asked(link)
    assert await asyncio.wait_for(reader.readline(), WITHIN_S) == b"hello\n"
    assert time.monotonic() - began_s >= 2 * SLOW_S
    writer.close()


async def test_a_half_open_link_holds_all_data_until_it_is_open_again(link: Link):
    link.become("half-open")
    reader, writer = await asked(link)
    answer = asyncio.ensure_future(reader.readline())
    done, _ = await asyncio.wait({answer}, timeout=0.3)
    assert not done
    link.become("open")
    assert await asyncio.wait_for(answer, WITHIN_S) == b"hello\n"
    writer.close()


async def test_a_reset_ends_open_connections_and_no_later_ones(link: Link):
    reader, writer = await asked(link)
    assert await asyncio.wait_for(reader.readline(), WITHIN_S) == b"hello\n"
    link.reset()
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await asyncio.wait_for(reader.readexactly(1), WITHIN_S)
    writer.close()
    reader, writer = await asked(link)
    assert await asyncio.wait_for(reader.readline(), WITHIN_S) == b"hello\n"
    writer.close()


async def test_a_link_without_a_target_closes_connections(link: Link):
    link.target = free_port()
    reader, writer = await asked(link)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await asyncio.wait_for(reader.readexactly(1), WITHIN_S)
    writer.close()
