"""Public keys that other services publish, read from them over HTTP."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any, Protocol, Self

from service_runtime.errors import Unavailable
from service_runtime.http_client import HttpClient
from service_runtime.tls import Certificates

PARTNER_KEYS = "/.well-known/partner-jwks.json"
"""The keys of messages to partner banks, of settlement."""
KEEP_S = 10.0
"""A retired key is published for so long at most; more requests cost the service nothing."""
OK = 200


class PublishedKeys(Protocol):
    """Reads the published keys."""

    async def published(self) -> dict[str, Any]:
        """Return the JWK set; raise Unavailable."""
        ...


class HttpKeys:
    """Asks the instances of a service in turn, once in ten seconds."""

    def __init__(
        self,
        name: str,
        urls: Sequence[str],
        path: str,
        *,
        keep_s: float = KEEP_S,
        tls: Certificates | None = None,
    ) -> None:
        self._name = name
        self._clients = [
            HttpClient(f"{name}-keys-{number}", url, tls=tls) for number, url in enumerate(urls)
        ]
        self._path = path
        self._keep_s = keep_s
        self._stack = AsyncExitStack()
        self._one_at_a_time = asyncio.Lock()
        self._kept: dict[str, Any] = {}
        self._kept_until_s = 0.0

    async def __aenter__(self) -> Self:
        for client in self._clients:
            await self._stack.enter_async_context(client)
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._stack.aclose()

    async def published(self) -> dict[str, Any]:
        async with self._one_at_a_time:
            if time.monotonic() >= self._kept_until_s:
                self._kept = await self._read()
                self._kept_until_s = time.monotonic() + self._keep_s
            return self._kept

    async def _read(self) -> dict[str, Any]:
        for client in self._clients:
            try:
                response = await client.get(self._path)
            except Unavailable:
                continue
            if response.status == OK and isinstance(response.body, dict):
                return response.body
        raise Unavailable(f"{self._name} publishes no keys")
