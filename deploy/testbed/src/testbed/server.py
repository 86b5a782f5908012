"""The HTTP server of every process on a thread of its own."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
import uvloop
from starlette.types import ASGIApp

from service_runtime.connection import ConnectionLimits
from service_runtime.serving import Server
from service_runtime.tls import Certificates
from service_runtime.websocket_connection import OPTIONS, WebSocketConnection


@contextmanager
def serving(
    app: ASGIApp,
    limits: ConnectionLimits = ConnectionLimits(),  # noqa: B008 - frozen
    tls: Certificates | None = None,
) -> Iterator[tuple[tuple[str, int], Server]]:
    """Serve an app; yield the address and the server."""
    config = uvicorn.Config(
        app,
        port=0,
        lifespan="off",
        log_config=None,
        ws=WebSocketConnection,
        timeout_keep_alive=30,
        **OPTIONS,
    )
    server = Server(config, limits, tls=tls)
    listener = config.bind_socket()
    listener.listen()
    config.bind_socket = lambda: listener  # type: ignore[method-assign]
    thread = threading.Thread(target=lambda: uvloop.run(server.serve()), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield listener.getsockname(), server
    finally:
        server.should_exit = True
        thread.join(timeout=10)
