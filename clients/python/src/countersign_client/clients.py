"""The two clients: each carries out the steps of the flows with httpx."""

import asyncio
import contextlib
import inspect
import random
import time
from decimal import Decimal
from typing import Any, TypeVar

import httpx

from countersign_client import flows, steps
from countersign_client._version import __version__
from countersign_client.answers import Answer
from countersign_client.attempts import Attempts, MemoryAttempts
from countersign_client.encryption import Encryption
from countersign_client.errors import ConnectionFailed
from countersign_client.events import HEARTBEAT_S, Statuses
from countersign_client.flows import CodeSource, Flow, Patience, Token
from countersign_client.results import CodeRequired, Confirmed, Payment

T = TypeVar("T")
Amount = Decimal | int | str
Encrypted = bool | str
OK = 200
_NOT_SENT = (httpx.UnsupportedProtocol, httpx.LocalProtocolError)
"""Errors of the caller, which no other try repairs."""


class _Base:
    """What both clients have: the address, the flows and the clock."""

    _now = staticmethod(time.monotonic)
    _chance = staticmethod(random.random)

    def __init__(
        self, base_url: str, token: Token, attempts: Attempts | None, encryption: Encrypted
    ) -> None:
        self._base_url = base_url.rstrip("/")
        subject = encryption if isinstance(encryption, str) else None
        made = Encryption(subject) if encryption else None
        self._flows = flows.Flows(token, attempts or MemoryAttempts(), made)

    def _patience(self, deadline_s: float) -> Patience:
        return Patience(self._now, self._chance, deadline_s)

    def _request(self, send: steps.Send) -> dict[str, Any]:
        """The arguments of httpx for a request."""
        headers = {"User-Agent": f"countersign-client/{__version__}", **send.headers}
        return {
            "method": send.method,
            "url": self._base_url + send.path,
            "headers": headers,
            "json": send.body,
            "content": send.content,
            "timeout": send.timeout_s,
            "follow_redirects": False,
        }

    def _stream(self, follow: steps.Follow) -> dict[str, Any]:
        """The arguments of httpx for a stream, of which each part comes within a heartbeat."""
        send = steps.Send("GET", follow.path, follow.headers, timeout_s=HEARTBEAT_S)
        return self._request(send)

    def _found(
        self, follow: steps.Follow, statuses: Statuses, chunk: bytes, ends: float
    ) -> Answer | None:
        """Return the status that a chunk completes and that was waited for.

        Raises httpx.ReadTimeout where the time is over.
        """
        for answer in statuses.read(chunk):
            if follow.done(answer):
                return answer
        if self._now() > ends:
            raise httpx.ReadTimeout("the time is over")
        return None


class Client(_Base):
    """Confirms payments. Threads may share a client.

    `token`: an access token, or a function that returns one: it is called at first, and again after
    a 401. `attempts`: where idempotency keys are kept; `FileAttempts(folder)` keeps them over
    restarts. `encryption`: confirmations are encrypted for Countersign's confirm service, for the
    token's subject, or for the user that is named. `http`: a client of httpx, for proxies and
    certificates; it is not closed.
    """

    _sleep = staticmethod(time.sleep)

    def __init__(
        self,
        base_url: str,
        token: Token = None,
        *,
        attempts: Attempts | None = None,
        encryption: Encrypted = False,
        http: httpx.Client | None = None,
    ) -> None:
        super().__init__(base_url, token, attempts, encryption)
        self._http = http or httpx.Client()
        self._is_own = http is None

    def confirm(  # noqa: PLR0913 - a payment has so many parameters
        self,
        transaction_id: str,
        *,
        amount: Amount,
        from_account: str,
        to_account: str,
        currency: str = "USD",
        to_name: str | None = None,
        instrument: str | None = None,
        branch: str | None = None,
        otp_code: str | None = None,
        code: CodeSource | None = None,
        deadline_s: float = 60,
    ) -> Confirmed | CodeRequired:
        """Confirm a payment: the same call again is the same attempt, and never a second payment.

        `amount` is in major units; `to_name` is the payee's name, if it is known; `instrument` is
        "CASH" where the payer hands in cash, at the `branch`. Where a code is needed, `code` is
        called with the CodeRequired, and again after a wrong code; without `code`, or if it
        returns None, the result is the CodeRequired: call again with `otp_code`.
        `deadline_s` bounds all tries together, without the time in `code`. Raises Refused for a
        definite refusal, Undecided at the deadline.
        """
        order = flows.Order(
            transaction_id,
            _text(amount),
            currency,
            from_account,
            to_account,
            to_name,
            instrument,
            branch,
        )
        flow = self._flows.confirm(order, (otp_code, code), self._patience(deadline_s))
        return self._run(flow)

    def payment(self, transaction_id: str, *, deadline_s: float = 30) -> Payment:
        """Read a payment."""
        flow = self._flows.payment(transaction_id, self._patience(deadline_s))
        return Payment.of(self._run(flow))

    def wait_until_settled(self, transaction_id: str, *, deadline_s: float = 120) -> Payment:
        """Read a payment until it is settled, returned or declined. Raises StillPending."""
        flow = self._flows.settled(transaction_id, self._patience(deadline_s))
        return Payment.of(self._run(flow))

    def close(self) -> None:
        """Close the connections."""
        if self._is_own:
            self._http.close()

    def __enter__(self) -> "Client":  # noqa: PYI034 - Self is of Python 3.11
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _run(self, flow: Flow[T]) -> T:
        result: Any = None
        while True:
            try:
                step = flow.send(result)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            if isinstance(step, steps.Send):
                result = self._send(step)
            elif isinstance(step, steps.Wait):
                self._sleep(step.seconds)
            elif isinstance(step, steps.Follow):
                result = self._follow(step)
            else:
                result = step.function()

    def _send(self, send: steps.Send) -> Answer | ConnectionFailed:
        ends = self._now() + send.timeout_s
        try:
            with self._http.stream(**self._request(send)) as response:
                content = b""
                for chunk in response.iter_bytes():
                    content += chunk
                    if self._now() > ends:  # httpx bounds the time of each chunk only
                        raise httpx.ReadTimeout("the response took too long")
                return Answer.read(response.status_code, response.headers, content)
        except httpx.RequestError as error:
            return _failed(error)

    def _follow(self, follow: steps.Follow) -> Answer | None:
        ends = self._now() + follow.timeout_s
        with (
            contextlib.suppress(httpx.RequestError),
            self._http.stream(**self._stream(follow)) as response,
        ):
            statuses = Statuses(response.headers)
            for chunk in response.iter_bytes() if response.status_code == OK else ():
                if found := self._found(follow, statuses, chunk, ends):
                    return found
        return None


class AsyncClient(_Base):
    """The same as `Client`, for asyncio. The functions `token` and `code` may be coroutines."""

    _sleep = staticmethod(asyncio.sleep)

    def __init__(
        self,
        base_url: str,
        token: Token = None,
        *,
        attempts: Attempts | None = None,
        encryption: Encrypted = False,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        super().__init__(base_url, token, attempts, encryption)
        self._http = http or httpx.AsyncClient()
        self._is_own = http is None

    async def confirm(  # noqa: PLR0913 - as there
        self,
        transaction_id: str,
        *,
        amount: Amount,
        from_account: str,
        to_account: str,
        currency: str = "USD",
        to_name: str | None = None,
        instrument: str | None = None,
        branch: str | None = None,
        otp_code: str | None = None,
        code: CodeSource | None = None,
        deadline_s: float = 60,
    ) -> Confirmed | CodeRequired:
        """Confirm a payment, as `Client.confirm`."""
        order = flows.Order(
            transaction_id,
            _text(amount),
            currency,
            from_account,
            to_account,
            to_name,
            instrument,
            branch,
        )
        flow = self._flows.confirm(order, (otp_code, code), self._patience(deadline_s))
        return await self._run(flow)

    async def payment(self, transaction_id: str, *, deadline_s: float = 30) -> Payment:
        """Read a payment."""
        flow = self._flows.payment(transaction_id, self._patience(deadline_s))
        return Payment.of(await self._run(flow))

    async def wait_until_settled(self, transaction_id: str, *, deadline_s: float = 120) -> Payment:
        """Read a payment until it is settled, returned or declined. Raises StillPending."""
        flow = self._flows.settled(transaction_id, self._patience(deadline_s))
        return Payment.of(await self._run(flow))

    async def close(self) -> None:
        """Close the connections."""
        if self._is_own:
            await self._http.aclose()

    async def __aenter__(self) -> "AsyncClient":  # noqa: PYI034 - Self is of Python 3.11
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()

    async def _run(self, flow: Flow[T]) -> T:
        result: Any = None
        while True:
            try:
                step = flow.send(result)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            if isinstance(step, steps.Send):
                result = await self._send(step)
            elif isinstance(step, steps.Wait):
                await self._sleep(step.seconds)
            elif isinstance(step, steps.Follow):
                result = await self._follow(step)
            elif step.blocks:
                result = await asyncio.to_thread(step.function)
            else:
                result = step.function()
                result = await result if inspect.isawaitable(result) else result

    async def _send(self, send: steps.Send) -> Answer | ConnectionFailed:
        request = self._http.request(**self._request(send))
        try:
            # httpx bounds the time of each chunk only.
            response = await asyncio.wait_for(request, send.timeout_s)
        except (httpx.RequestError, asyncio.TimeoutError) as error:
            return _failed(error)
        return Answer.read(response.status_code, response.headers, response.content)

    async def _follow(self, follow: steps.Follow) -> Answer | None:
        ends = self._now() + follow.timeout_s
        with contextlib.suppress(httpx.RequestError):
            async with self._http.stream(**self._stream(follow)) as response:
                if response.status_code != OK:
                    return None
                statuses = Statuses(response.headers)
                async for chunk in response.aiter_bytes():
                    if found := self._found(follow, statuses, chunk, ends):
                        return found
        return None


def _failed(cause: Exception) -> ConnectionFailed:
    if isinstance(cause, _NOT_SENT):
        raise cause
    failed = ConnectionFailed(f"no response: {cause or type(cause).__name__}")
    failed.__cause__ = cause
    return failed


def _text(amount: Amount) -> str:
    """Return an amount as the gateway reads it. A float is no amount: it would be rounded."""
    if isinstance(amount, float | bool):
        raise TypeError("amount must be a Decimal, an int or a str, never a float")
    return format(amount, "f") if isinstance(amount, Decimal) else str(amount)
