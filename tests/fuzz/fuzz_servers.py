"""Every service and mock on real Kafka, PostgreSQL and Redis, each at its port, in one process.

Consumers and loops do not run: what is tried is what answers HTTP. So a fault in a handler is an
exception in this process, and a start takes seconds.
"""

import asyncio
import os
import threading
from collections.abc import Mapping
from contextlib import AsyncExitStack
from importlib import import_module
from typing import Self
from unittest import mock

import uvicorn

from local_stack.inventory import Service
from local_stack.stack import Stack
from service_runtime.connection import ConnectionLimits
from service_runtime.kafka import KafkaSource
from service_runtime.process import Process
from service_runtime.serving import Server
from service_runtime.settings import HttpSettings

START_WITHIN_S = 60
SHORTER = {
    "ANSWER_WITHIN_S": "0.05",
    "FAULT_HOLD_S": "0.1",
    "FAULT_SLOW_S": "0.1",
    "PARTNER_LATE_S": "0.1",
    "RATE_LIMIT_PER_MINUTE": "1000000",
    "READS_PER_MINUTE": "1000000",
    "FAILED_AUTHENTICATIONS_PER_MINUTE": "1000000",
    "LOGINS_PER_ACCOUNT": "1000000",
    "LOGINS_PER_ADDRESS": "1000000",
    "REGISTRATIONS_PER_ADDRESS": "1000000",
}
"""What keeps a client waiting or refuses many requests is tried elsewhere."""


class Servers:
    """The servers, in a thread with its own loop. `faults` holds errors that no response showed."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.processes: dict[str, Process] = {}
        self.faults: list[str] = []
        self._ready = threading.Event()
        self._stopping: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(START_WITHIN_S), "the servers did not start"
        return self

    def __exit__(self, *_error: object) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(START_WITHIN_S)

    @property
    def mocks(self) -> list[str]:
        return [one.name for one in self._stack.inventory.services.values() if one.mock]

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self._stack.environment_of(name)['PORT']}"

    async def _serve(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        self._loop.set_exception_handler(lambda _, context: self.faults.append(str(context)))
        async with AsyncExitStack() as opened:
            built = [self._built(one) for one in self._stack.inventory.services.values()]
            self.processes = {process.name: process for process, _ in built}
            resources = [
                opened.enter_async_context(resource)
                for process, _ in built
                for resource in process.resources
                if not isinstance(resource, KafkaSource)
            ]
            for resource in resources:
                await resource
            servers = [_server(process, settings) for process, settings in built]
            serving = [asyncio.create_task(server.serve()) for server in servers]
            while not all(server.started for server in servers):  # noqa: ASYNC110 - uvicorn has no event
                await asyncio.sleep(0.01)
            self._ready.set()
            await self._stopping.wait()
            for server in servers:
                server.should_exit = True
            await asyncio.wait(serving)

    def _built(self, service: Service) -> tuple[Process, HttpSettings]:
        main = import_module(f"{service.module}.__main__")
        settings_class = next(
            value
            for value in vars(main).values()
            if isinstance(value, type) and issubclass(value, HttpSettings)
        )
        build = vars(main).get("build") or vars(main)["create"]
        environment = self._stack.environment_of(service.name)
        with mock.patch.dict(os.environ, _shorter(environment)):
            settings = settings_class()
        return build(settings), settings


def _shorter(environment: Mapping[str, str]) -> dict[str, str]:
    return {**environment, **SHORTER}


def _server(process: Process, settings: HttpSettings) -> Server:
    config = uvicorn.Config(
        process.app,
        host=settings.host,
        port=settings.port,
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        ws="none",
        timeout_graceful_shutdown=1,
    )
    return Server(config, ConnectionLimits(head_within_s=1, body_within_s=1))
