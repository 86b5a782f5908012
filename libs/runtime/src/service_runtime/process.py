"""A process: start, HTTP server and background loops, stop within ten seconds."""

import asyncio
import gc
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from resource import RLIM_INFINITY, RLIMIT_NOFILE, getrlimit, setrlimit

import uvicorn
import uvloop
from fastapi import FastAPI
from starlette.routing import WebSocketRoute

from service_runtime import exporting, logs, tracing
from service_runtime.connection import ConnectionLimits
from service_runtime.serving import Server
from service_runtime.settings import HttpSettings, S, load
from service_runtime.websocket_connection import OPTIONS, WebSocketConnection

Loop = Callable[[asyncio.Event], Awaitable[None]]
"""Runs until the event is set, then finishes its current step."""

STOP_WITHIN_S = 6.0
"""For the loops; closing resources and flushing telemetry have the rest of ten seconds."""
HTTP_DRAIN_S = 4
KEEP_ALIVE_S = 75
"""Longer than the usual minute of load balancers, so that the balancer closes idle connections: a
request that meets a close by the server gets no response."""
OTHER_FILES = 1024
"""Open files besides the clients' connections."""
_log = logs.Log("process")


@dataclass(frozen=True, slots=True)
class Process:
    """A composed process: resources are opened in order and closed in reverse."""

    name: str
    app: FastAPI
    resources: Sequence[AbstractAsyncContextManager[object]] = ()
    loops: Sequence[Loop] = ()


def main(settings: type[S], build: Callable[[S], Process]) -> None:
    """Run a service: read its settings, build its process, run it."""
    loaded = load(settings)
    run(build(loaded), loaded)


def run(process: Process, settings: HttpSettings) -> None:
    """Run a process until SIGTERM or SIGINT, or until one of its loops fails."""
    origin = process.name, settings.instance
    lines = logs.configure(*origin, settings.log_level, settings.otlp_endpoint)
    tracing.configure(*origin, settings.otlp_endpoint, settings.trace_sample)
    os.nice(settings.niceness)
    _allow_files(settings.max_connections + OTHER_FILES)
    try:
        uvloop.run(_run(process, settings))
    finally:
        exporting.shut_down(*tracing.stop(), *lines)


def _allow_files(wanted: int) -> None:
    """Raise the limit of open files to the number of connections, if this user may."""
    soft, hard = getrlimit(RLIMIT_NOFILE)
    allowed = wanted if hard == RLIM_INFINITY else min(wanted, hard)
    if soft != RLIM_INFINITY and soft < allowed:
        setrlimit(RLIMIT_NOFILE, (allowed, hard))
    if allowed < wanted:
        _log.warning("few_files", count=allowed, reason="MAX_CONNECTIONS needs more")


async def _run(process: Process, settings: HttpSettings) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with AsyncExitStack() as stack:
        if not await _opened(process.resources, stack, stopping):
            _log.info("stopped")
            return
        # Objects of the start live as long as the process; the garbage collector skips them.
        gc.freeze()
        _log.info("started", port=settings.port)
        await _serve(process, settings, stopping)
    _log.info("stopped")


async def _opened(
    resources: Sequence[AbstractAsyncContextManager[object]],
    stack: AsyncExitStack,
    stopping: asyncio.Event,
) -> bool:
    """Open the resources in order; return False if the stop comes first."""

    async def open_all() -> None:
        for resource in resources:
            await stack.enter_async_context(resource)

    # The wait for a broker at start must not delay a stop.
    opening, stopped = asyncio.create_task(open_all()), asyncio.create_task(stopping.wait())
    await asyncio.wait({opening, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if opening.done():
        opening.result()
        return True
    opening.cancel()
    await asyncio.wait({opening})
    return False


def _has_websockets(app: FastAPI) -> bool:
    return any(isinstance(route, WebSocketRoute) for route in app.routes)


async def _serve(process: Process, settings: HttpSettings, stopping: asyncio.Event) -> None:
    server = Server(
        uvicorn.Config(
            process.app,
            host=settings.host,
            port=settings.port,
            access_log=False,
            log_config=None,
            timeout_graceful_shutdown=HTTP_DRAIN_S,
            timeout_keep_alive=KEEP_ALIVE_S,
            server_header=False,
            # The edge reads proxy headers itself, from trusted proxies only.
            proxy_headers=False,
            # Without such a route, an upgrade request is served as HTTP/1.1.
            ws=WebSocketConnection if _has_websockets(process.app) else "none",
            **OPTIONS,
        ),
        ConnectionLimits(settings.head_within_s, settings.body_within_s, settings.max_connections),
        production=settings.profile == "prod",
        tls=settings.certificates(),
    )
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_ended_early(loop, stopping)) for loop in process.loops]
        tasks.append(group.create_task(server.serve()))
        await stopping.wait()
        server.should_exit = True
        _, late = await asyncio.wait(tasks, timeout=STOP_WITHIN_S)
        for task in late:
            # Offsets are committed last: an interrupted batch is repeated.
            task.cancel()


async def _ended_early(loop: Loop, stopping: asyncio.Event) -> None:
    await loop(stopping)
    if not stopping.is_set():
        raise RuntimeError("a background loop ended before the stop")
