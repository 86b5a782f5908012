"""Fault injection: faults of a mock on demand, at a rate, and reproducible."""

import asyncio
import hashlib
from collections import OrderedDict
from typing import Literal, get_args

from pydantic import Field
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mocks.bodies import Body
from service_runtime.web import MAX_BODY_BYTES, JsonResponse

Kind = Literal[
    "down",
    "slow",
    "error",
    "lose_request",
    "lose_answer",
    "book_repeats",
    "report_twice",
    "report_stale",
    "reports_shuffled",
    "omit_from_statement",
    "wrong_amount_on_statement",
    "twice_on_statement",
    "again_on_next_statement",
    "on_next_statement",
    "statement_breaks_off",
    "refuse_credential",
    "refuse_large",
    "webhook_before_reply",
    "webhook_late",
    "webhook_lost",
    "webhook_twice",
    "says_declined",
    "rate_limit",
    "malformed",
    "invented",
    "injected",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
EXEMPT_PATHS = frozenset(
    {
        *("/health", "/ready", "/metrics", "/faults", "/messages", "/statement", "/payments"),
        *("/cards", "/disputes"),
    }
)
"""Paths for tests and people to observe a mock; real services have none of them."""
MAX_REMEMBERED_REQUESTS = 10_000
MAX_HELD = 1_000


class FaultRate(Body):
    """One kind of fault and its rate."""

    kind: Kind
    rate: float = Field(default=1.0, ge=0, le=1)
    """0 never … 1 always."""


class Faults:
    """The rates of all kinds of fault.

    Whether a request is affected depends on its content and on the number of earlier equal
    requests. So a run is reproducible, independent of the order of arrival, and a retry gets
    another result.
    """

    def __init__(self) -> None:
        self._rates: dict[Kind, float] = dict.fromkeys(KINDS, 0.0)
        self._requests: OrderedDict[bytes, int] = OrderedDict()

    @property
    def rates(self) -> dict[Kind, float]:
        """The rate of each kind."""
        return dict(self._rates)

    def switch(self, kind: Kind, rate: float) -> None:
        """Set the rate of a kind."""
        self._rates[kind] = rate

    def clear(self) -> None:
        """Set all rates to 0, and forget earlier requests."""
        self._rates = dict.fromkeys(KINDS, 0.0)
        self._requests.clear()

    def any_on(self) -> bool:
        """Return whether any rate is above 0."""
        return any(self._rates.values())

    def is_on(self, kind: Kind) -> bool:
        """Return whether a kind's rate is above 0."""
        return self._rates[kind] > 0

    def affects(self, kind: Kind, content: bytes) -> bool:
        """Return whether a kind affects this item; the result is the same for every request."""
        rate = self._rates[kind]
        return rate > 0 and _draw(kind, hashlib.sha256(content).digest(), 0) < rate

    def faults_of(self, content: bytes) -> frozenset[Kind]:
        """Return the kinds that affect this request."""
        digest = hashlib.sha256(content).digest()
        earlier_requests = self._count(digest)
        return frozenset(
            kind
            for kind, rate in self._rates.items()
            if _draw(kind, digest, earlier_requests) < rate
        )

    def _count(self, digest: bytes) -> int:
        earlier_requests = self._requests.pop(digest, 0)
        self._requests[digest] = earlier_requests + 1
        if len(self._requests) > MAX_REMEMBERED_REQUESTS:
            self._requests.popitem(last=False)
        return earlier_requests


def _draw(kind: Kind, digest: bytes, earlier_requests: int) -> float:
    """Return a number in [0, 1) that depends only on the arguments."""
    drawn = hashlib.sha256(b"%b %b %d" % (kind.encode(), digest, earlier_requests)).digest()
    # 53 bits: all that a float holds exactly, so that the quotient stays below 1.
    return (int.from_bytes(drawn[:8], "big") >> 11) / 2**53


class HeldRequests:
    """Requests without a response; each ends with the client, the time or the process."""

    def __init__(self, hold_s: float) -> None:
        self._hold_s = hold_s
        self._held = 0
        self._stopped = asyncio.Event()

    async def until(self, stopping: asyncio.Event) -> None:
        """Release all requests when the process stops."""
        await stopping.wait()
        self._stopped.set()

    async def hold(self, receive: Receive, seconds: float | None = None) -> None:
        """Hold a request; with `MAX_HELD` held requests, return at once."""
        if self._held >= MAX_HELD:
            return
        self._held += 1
        try:
            await self._first_of(receive, self._hold_s if seconds is None else seconds)
        finally:
            self._held -= 1

    async def _first_of(self, receive: Receive, seconds: float) -> None:
        ends = [
            asyncio.ensure_future(_disconnected(receive)),
            asyncio.ensure_future(self._stopped.wait()),
        ]
        try:
            await asyncio.wait(ends, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


NO_RESPONSE = JsonResponse({"error": "No answer"}, 504)


class FaultInjection:
    """Applies the faults to the requests of an app."""

    def __init__(
        self, app: ASGIApp, faults: Faults, held_requests: HeldRequests, slow_s: float
    ) -> None:
        self._app = app
        self._faults = faults
        self._held_requests = held_requests
        self._slow_s = slow_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in EXEMPT_PATHS or not self._faults.any_on():
            await self._app(scope, receive, send)
            return
        recorded = await _Recorded.read(receive)
        faults = self._faults.faults_of(_content(scope, recorded.body))
        await self._serve(faults, scope, recorded, send)

    async def _serve(
        self, faults: frozenset[Kind], scope: Scope, receive: Receive, send: Send
    ) -> None:
        if "down" in faults:
            await JsonResponse({"error": "Service unavailable"}, 503)(scope, receive, send)
        elif "error" in faults:
            await JsonResponse({"error": "Internal error"}, 500)(scope, receive, send)
        elif "lose_request" in faults:
            await self._hold(scope, receive, send)
        else:
            await self._work(faults, scope, receive, send)

    async def _work(
        self, faults: frozenset[Kind], scope: Scope, receive: Receive, send: Send
    ) -> None:
        if "slow" in faults:
            await asyncio.sleep(self._slow_s)
        if "lose_answer" not in faults:
            await self._app(scope, receive, send)
            return
        await self._app(scope, receive, _discard)
        await self._hold(scope, receive, send)

    async def _hold(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._held_requests.hold(receive)
        await NO_RESPONSE(scope, receive, send)


async def _discard(_message: Message) -> None:
    """Discard a part of a response."""


def _content(scope: Scope, body: bytes) -> bytes:
    line = f"{scope['method']} {scope['path']}?".encode()
    return line + bytes(scope["query_string"]) + b"\n" + body


class _Recorded:
    """A receive channel whose body was read in advance and is passed on unchanged.

    A body over the limit is passed on as far as it was read; the app refuses it.
    """

    def __init__(self, receive: Receive, messages: list[Message]) -> None:
        self._receive = receive
        self._ahead = messages
        self.body = b"".join(message.get("body", b"") for message in messages)

    @classmethod
    async def read(cls, receive: Receive) -> "_Recorded":
        """Read the body in advance, up to the limit of all apps."""
        messages: list[Message] = []
        size = 0
        while size <= MAX_BODY_BYTES:
            messages.append(await receive())
            size += len(messages[-1].get("body", b""))
            if not messages[-1].get("more_body", False):
                break
        return cls(receive, messages)

    async def __call__(self) -> Message:
        return self._ahead.pop(0) if self._ahead else await self._receive()
