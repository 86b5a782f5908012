"""A real process under a flood of half-sent, silent and endless heads serves other clients."""

import contextlib
import os
import selectors
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

HALF, SILENT, LINES = 300, 50, 8 * 1024 * 1024
HEAD_WITHIN_S = 1.0
GROWTH_BYTES = 10 * 1024 * 1024
SERVE = """
from service_runtime.clock import SystemClock
from service_runtime.process import Process, run
from service_runtime.settings import HttpSettings
from service_runtime.web import create_app
run(Process("probe", create_app("probe", {}, SystemClock())), HttpSettings())
"""


@pytest.fixture
def served():
    """Serve an app from a process of its own; yield its address and its id."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = {"PORT": str(port), "PROFILE": "dev", "HEAD_WITHIN_S": str(HEAD_WITHIN_S)}
    process = subprocess.Popen(  # noqa: S603 - our own code
        [sys.executable, "-c", SERVE], env=os.environ | settings, stdout=subprocess.DEVNULL
    )
    until_s = time.monotonic() + 30
    while time.monotonic() < until_s:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"http://127.0.0.1:{port}/health").is_success:
                break
        time.sleep(0.05)
    yield ("127.0.0.1", port), process.pid
    process.terminate()
    process.wait(timeout=15)


def resident_bytes(pid):
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def begun(address, sent):
    connection = socket.create_connection(address, timeout=5)
    connection.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        connection.send(sent)
    return connection


class Flood:
    """Connections whose requests never end."""

    def __init__(self, address):
        self.started_s = time.monotonic()
        heads = [begun(address, b"POST /x HTTP/1.1\r\nHost: a\r\nX-Half: ") for _ in range(HALF)]
        silent = [begun(address, b"") for _ in range(SILENT)]
        self.endless = begun(address, b"GET /x HTTP/1.1\r\n")
        self._left = LINES
        self._open = selectors.DefaultSelector()
        for one in (*heads, *silent):
            self._open.register(one, selectors.EVENT_READ)
        self._open.register(self.endless, selectors.EVENT_READ | selectors.EVENT_WRITE)

    @property
    def open(self):
        return len(self._open.get_map())

    def go_on(self):
        """Send more of the lines; find the closed connections."""
        for key, events in self._open.select(timeout=0.01):
            try:
                if events & selectors.EVENT_WRITE:
                    self._left -= key.fileobj.send(b"X: y\r\n" * 10_000)
                    if self._left <= 0:
                        self._open.modify(key.fileobj, selectors.EVENT_READ)
                elif not key.fileobj.recv(65536):
                    self._close(key.fileobj)
            except BlockingIOError:
                pass
            except OSError:
                self._close(key.fileobj)

    def _close(self, connection):
        self._open.unregister(connection)
        connection.close()


def withstand(address, pid, served):
    """Flood a process; return (seconds until all were closed, growth in bytes, slowest one)."""
    for _ in range(20):
        served()
    before = resident_bytes(pid)
    flood, largest, slowest_s = Flood(address), 0, 0.0
    while flood.open:
        flood.go_on()
        asked_s = time.monotonic()
        served()
        slowest_s = max(slowest_s, time.monotonic() - asked_s)
        largest = max(largest, resident_bytes(pid))
    return time.monotonic() - flood.started_s, largest - before, slowest_s


def test_a_flood_of_unfinished_heads_costs_little_memory_and_others_are_served(served):
    address, pid = served
    with httpx.Client(base_url=f"http://127.0.0.1:{address[1]}") as http:

        def others():
            assert http.get("/health").status_code == 200

        closed_s, growth, slowest_s = withstand(address, pid, others)

    assert closed_s < HEAD_WITHIN_S + 1
    assert growth < GROWTH_BYTES
    assert slowest_s < 1
