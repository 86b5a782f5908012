"""Fault injection into mocks."""

import httpx


class Faults:
    """A fault of a mock, active within the context."""

    def __init__(self, observed, mock, kind):
        self._url = observed.stack.description().url(mock) + "/faults"
        self._kind = kind

    async def __aenter__(self):
        await self._send("PUT", {"kind": self._kind, "rate": 1.0})

    async def __aexit__(self, *_error):
        await self._send("DELETE", None)

    async def _send(self, method, body):
        async with httpx.AsyncClient(timeout=10) as http:
            (await http.request(method, self._url, json=body)).raise_for_status()
