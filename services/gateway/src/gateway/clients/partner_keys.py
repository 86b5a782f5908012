"""The public keys of messages to partner banks, read from settlement over HTTP."""

import asyncio
import time
from typing import Any, Protocol, Self

from service_runtime.errors import Unavailable
from service_runtime.http_client import HttpClient
from service_runtime.tls import Certificates

PARTNER_KEYS = "/.well-known/partner-jwks.json"
KEEP_S = 10.0
"""A retired key is published for so long at most; more requests cost settlement nothing."""
OK = 200


class PartnerKeys(Protocol):
    """Reads the published keys."""

    async def published(self) -> dict[str, Any]:
        """Return the JWK set; raise Unavailable."""
        ...


class SettlementKeys:
    """Asks settlement, once in ten seconds."""

    def __init__(self, url: str, keep_s: float = KEEP_S, tls: Certificates | None = None) -> None:
        self._http = HttpClient("settlement", url, tls=tls)
        self._keep_s = keep_s
        self._one_at_a_time = asyncio.Lock()
        self._kept: dict[str, Any] = {}
        self._kept_until_s = 0.0

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._http.__aexit__(*error)

    async def published(self) -> dict[str, Any]:
        async with self._one_at_a_time:
            if time.monotonic() >= self._kept_until_s:
                self._kept = await self._read()
                self._kept_until_s = time.monotonic() + self._keep_s
            return self._kept

    async def _read(self) -> dict[str, Any]:
        response = await self._http.get(PARTNER_KEYS)
        if response.status != OK or not isinstance(response.body, dict):
            raise Unavailable("settlement publishes no keys")
        return response.body
