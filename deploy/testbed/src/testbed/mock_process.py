"""A mock as a process of its own, on a free port."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

import httpx

START_WITHIN_S = 60


class MockProcess:
    """`python -m mocks.<name>`, ready to be called; `switch` and `heal` set its faults."""

    def __init__(self, name: str, environment: Mapping[str, str]) -> None:
        self.name = name
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        own = {"PROFILE": "dev", "PORT": str(self._port)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"mocks.{name}"], env={**os.environ, **environment, **own}
        )
        self._wait()

    def _wait(self) -> None:
        end_s = time.monotonic() + START_WITHIN_S
        while time.monotonic() < end_s:
            assert self._process.poll() is None, "the mock ended while it started"
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/ready").status_code == httpx.codes.OK:
                    return
            time.sleep(0.05)
        raise TimeoutError(self.name)

    def switch(self, kind: str, rate: float = 1.0) -> None:
        """Set the rate of a kind of fault."""
        httpx.put(f"{self.url}/faults", json={"kind": kind, "rate": rate}).raise_for_status()

    def heal(self) -> None:
        """Set all rates to 0."""
        httpx.delete(f"{self.url}/faults").raise_for_status()

    def received(self) -> list[Any]:
        """Return the latest messages that it has received."""
        found: list[Any] = httpx.get(f"{self.url}/messages").json()["messages"]
        return found

    def count(self) -> int:
        """Return how many messages it has received."""
        return int(httpx.get(f"{self.url}/messages").json()["count"])

    def kill(self) -> None:
        """End it by SIGKILL."""
        self._process.kill()
        self._process.wait()
