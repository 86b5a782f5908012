"""Shared by the tests of the mocks: a fixed clock, and ways to serve a mock."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
import uvicorn

from service_runtime.clock import SystemClock
from service_runtime.process import Process

START_WITHIN_S = 30


class StandingClock(SystemClock):
    """A clock that only the test advances."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 20, 23, 59, 30, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def pass_seconds(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)

    def new_id(self) -> UUID:
        return uuid4()


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture
def serve() -> Callable[[Process], contextlib.AbstractAsyncContextManager[httpx.AsyncClient]]:
    """Open a process' resources and return a client of its app."""

    @contextlib.asynccontextmanager
    async def serving(process: Process) -> AsyncIterator[httpx.AsyncClient]:
        transport = httpx.ASGITransport(process.app)
        async with contextlib.AsyncExitStack() as stack:
            for resource in process.resources:
                await stack.enter_async_context(resource)
            client = httpx.AsyncClient(transport=transport, base_url="http://mock")
            yield await stack.enter_async_context(client)

    return serving


@pytest.fixture
def serve_on_a_port() -> Iterator[Callable[[Process], str]]:
    """Serve an app on a free port; return its address."""
    with contextlib.ExitStack() as stack:
        yield lambda process: stack.enter_context(_serving(process))


@contextlib.contextmanager
def _serving(process: Process) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(process.app, log_config=None))
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()


@pytest.fixture
def secret_file(tmp_path: Path) -> Callable[[str, str], str]:
    def write(name: str, text: str) -> str:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


class Program:
    """A mock as a separate process on a free port."""

    def __init__(self, name: str, settings: dict[str, str]) -> None:
        self._name = name
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self._settings = {"PROFILE": "dev", "PORT": str(self._port), **settings}
        self.address = f"http://127.0.0.1:{self._port}"
        self._running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", f"mocks.{self._name}"]
        environment = {**os.environ, **self._settings}
        self._running = subprocess.Popen(  # noqa: S603 - a module of this package
            command, env=environment, stdout=subprocess.DEVNULL
        )
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_WITHIN_S
        while time.monotonic() < deadline:
            assert self._running is not None
            assert self._running.poll() is None, "the mock ended while it started"
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.address}/ready").status_code == 200:
                    return
            time.sleep(0.05)
        raise TimeoutError(f"{self._name} was not ready within {START_WITHIN_S} s")

    def kill(self) -> None:
        """Kill it by SIGKILL, as a power failure would."""
        if self._running is not None:
            self._running.kill()
            self._running.wait(timeout=10)
            self._running = None

    def stop(self) -> int:
        """Stop it by SIGTERM; return its exit status."""
        assert self._running is not None
        self._running.terminate()
        status = self._running.wait(timeout=15)
        self._running = None
        return status


@pytest.fixture
def program() -> Iterator[Callable[[str, dict[str, str]], Program]]:
    started: list[Program] = []

    def start(name: str, settings: dict[str, str]) -> Program:
        started.append(Program(name, settings))
        started[-1].start()
        return started[-1]

    yield start
    for one in started:
        one.kill()
