"""Reads payments from confirm over HTTP."""

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Protocol, Self
from urllib.parse import quote

from payment_schemas.answers import is_final
from service_runtime.errors import Unavailable
from service_runtime.http_client import HttpClient
from service_runtime.tls import Certificates

NOT_FOUND = 404
OK = 200


@dataclass(frozen=True, slots=True)
class PaymentView:
    """A payment as its owner sees it."""

    body: dict[str, Any]
    sequence: int
    """Grows with every change; 0 from a confirm that does not send it yet."""

    @property
    def is_final(self) -> bool:
        """Whether the payment can never change again."""
        return is_final(self.body["status"], self.body["settlement_status"])


class Reads(Protocol):
    """Reads payments."""

    async def payment(self, user_id: str, transaction_id: str) -> PaymentView | None:
        """Return a user's payment, None where there is none; raise Unavailable."""
        ...


class ConfirmReads:
    """Asks one instance of confirm after the other until one responds."""

    def __init__(
        self, urls: Sequence[str], credential: Callable[[], str], tls: Certificates | None = None
    ) -> None:
        self._clients = [
            HttpClient(f"confirm-{number}", url, bearer=credential, tls=tls)
            for number, url in enumerate(urls)
        ]
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for client in self._clients:
            await self._stack.enter_async_context(client)
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._stack.aclose()

    async def payment(self, user_id: str, transaction_id: str) -> PaymentView | None:
        path = f"/payments/{quote(transaction_id, safe='')}?user_id={quote(user_id, safe='')}"
        for client in self._clients:
            try:
                response = await client.get(path)
            except Unavailable:
                continue
            if response.status == NOT_FOUND:
                return None
            if response.status == OK and isinstance(response.body, dict):
                sequence = response.body.pop("sequence", 0)
                return PaymentView(response.body, sequence)
        raise Unavailable("no confirm responds")
