"""Reads payments from confirm over HTTP."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any, Protocol, Self
from urllib.parse import quote

from service_runtime.errors import Unavailable
from service_runtime.http_client import HttpClient

NOT_FOUND = 404
OK = 200


class Reads(Protocol):
    """Reads payments."""

    async def payment(self, user_id: str, transaction_id: str) -> dict[str, Any] | None:
        """Return a user's payment, None where there is none; raise Unavailable."""
        ...


class ConfirmReads:
    """Asks one instance of confirm after the other until one responds."""

    def __init__(self, urls: Sequence[str], credential: str) -> None:
        headers = {"Authorization": f"Bearer {credential}"}
        self._clients = [
            HttpClient(f"confirm-{number}", url, headers=headers) for number, url in enumerate(urls)
        ]
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for client in self._clients:
            await self._stack.enter_async_context(client)
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._stack.aclose()

    async def payment(self, user_id: str, transaction_id: str) -> dict[str, Any] | None:
        path = f"/payments/{quote(transaction_id, safe='')}?user_id={quote(user_id, safe='')}"
        for client in self._clients:
            try:
                response = await client.get(path)
            except Unavailable:
                continue
            if response.status == NOT_FOUND:
                return None
            if response.status == OK and isinstance(response.body, dict):
                return response.body
        raise Unavailable("no confirm responds")
