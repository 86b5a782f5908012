"""Fault switches: what a mock does wrong on demand, at a rate, and the same way every time."""

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
    "omit_from_statement",
    "wrong_amount_on_statement",
    "twice_on_statement",
    "again_on_next_statement",
    "on_next_statement",
    "statement_breaks_off",
    "refuse_credential",
    "refuse_large",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
SPARED = frozenset({"/health", "/ready", "/metrics", "/faults", "/messages", "/statement"})
"""Paths by which tests and people look at a mock; the world outside has no such windows."""
MAX_REMEMBERED_REQUESTS = 10_000
MAX_HELD = 1_000


class Switch(Body):
    """One fault and how often it strikes."""

    kind: Kind
    rate: float = Field(default=1.0, ge=0, le=1)
    """0 never … 1 always."""


class Faults:
    """The faults that are switched on.

    Whether one strikes is decided by what is asked and how often it was asked before, so that a run
    repeats exactly, whatever the order in which requests arrive, and a retry gets another draw.
    """

    def __init__(self) -> None:
        self._rates: dict[Kind, float] = dict.fromkeys(KINDS, 0.0)
        self._asked: OrderedDict[bytes, int] = OrderedDict()

    @property
    def rates(self) -> dict[Kind, float]:
        """How often each kind strikes."""
        return dict(self._rates)

    def switch(self, kind: Kind, rate: float) -> None:
        """Let a kind strike at this rate from now on."""
        self._rates[kind] = rate

    def clear(self) -> None:
        """Switch everything off, and forget what was asked."""
        self._rates = dict.fromkeys(KINDS, 0.0)
        self._asked.clear()

    def any_on(self) -> bool:
        """Tell whether anything is switched on."""
        return any(self._rates.values())

    def strikes(self, kind: Kind, content: bytes) -> bool:
        """Say whether a kind strikes this thing, at whatever request: a lie is told every time."""
        return _draw(kind, hashlib.sha256(content).digest(), 0) < self._rates[kind]

    def strike(self, content: bytes) -> frozenset[Kind]:
        """Return the kinds that strike this request."""
        digest = hashlib.sha256(content).digest()
        asked_before = self._count(digest)
        return frozenset(
            kind for kind, rate in self._rates.items() if _draw(kind, digest, asked_before) < rate
        )

    def _count(self, digest: bytes) -> int:
        asked_before = self._asked.pop(digest, 0)
        self._asked[digest] = asked_before + 1
        if len(self._asked) > MAX_REMEMBERED_REQUESTS:
            self._asked.popitem(last=False)
        return asked_before


def _draw(kind: Kind, digest: bytes, asked_before: int) -> float:
    """Return a number in [0, 1) that depends on nothing but the arguments."""
    drawn = hashlib.sha256(b"%b %b %d" % (kind.encode(), digest, asked_before)).digest()
    # 53 bits: all that a float holds exactly, so that the quotient stays below 1.
    return (int.from_bytes(drawn[:8], "big") >> 11) / 2**53


class Silence:
    """Waits without an answer; each ends with the caller, with the time or with the process."""

    def __init__(self, hold_s: float) -> None:
        self._hold_s = hold_s
        self._held = 0
        self._stopped = asyncio.Event()

    async def until(self, stopping: asyncio.Event) -> None:
        """Let everyone go as soon as the process is to stop, so that it can."""
        await stopping.wait()
        self._stopped.set()

    async def hold(self, receive: Receive, seconds: float | None = None) -> None:
        """Wait; past `MAX_HELD` waiting callers, do not wait at all."""
        if self._held >= MAX_HELD:
            return
        self._held += 1
        try:
            await self._first_of(receive, self._hold_s if seconds is None else seconds)
        finally:
            self._held -= 1

    async def _first_of(self, receive: Receive, seconds: float) -> None:
        ends = [
            asyncio.ensure_future(_hung_up(receive)),
            asyncio.ensure_future(self._stopped.wait()),
        ]
        try:
            await asyncio.wait(ends, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


NO_ANSWER = JsonResponse({"error": "No answer"}, 504)


class FaultInjection:
    """Makes the requests of an app fail as the switches say."""

    def __init__(self, app: ASGIApp, faults: Faults, silence: Silence, slow_s: float) -> None:
        self._app = app
        self._faults = faults
        self._silence = silence
        self._slow_s = slow_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in SPARED or not self._faults.any_on():
            await self._app(scope, receive, send)
            return
        recorded = await _Recorded.read(receive)
        struck = self._faults.strike(_content(scope, recorded.body))
        await self._serve(struck, scope, recorded, send)

    async def _serve(
        self, struck: frozenset[Kind], scope: Scope, receive: Receive, send: Send
    ) -> None:
        if "down" in struck:
            await JsonResponse({"error": "Service unavailable"}, 503)(scope, receive, send)
        elif "error" in struck:
            await JsonResponse({"error": "Internal error"}, 500)(scope, receive, send)
        elif "lose_request" in struck:
            await self._fall_silent(scope, receive, send)
        else:
            await self._work(struck, scope, receive, send)

    async def _work(
        self, struck: frozenset[Kind], scope: Scope, receive: Receive, send: Send
    ) -> None:
        if "slow" in struck:
            await asyncio.sleep(self._slow_s)
        if "lose_answer" not in struck:
            await self._app(scope, receive, send)
            return
        await self._app(scope, receive, _swallow)
        await self._fall_silent(scope, receive, send)

    async def _fall_silent(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._silence.hold(receive)
        await NO_ANSWER(scope, receive, send)


async def _swallow(_message: Message) -> None:
    """Lose a part of an answer."""


def _content(scope: Scope, body: bytes) -> bytes:
    line = f"{scope['method']} {scope['path']}?".encode()
    return line + bytes(scope["query_string"]) + b"\n" + body


class _Recorded:
    """A receive channel whose body was read ahead, and is handed on as it came.

    A body over the limit is handed on as far as it was read: the app behind refuses it.
    """

    def __init__(self, receive: Receive, messages: list[Message]) -> None:
        self._receive = receive
        self._ahead = messages
        self.body = b"".join(message.get("body", b"") for message in messages)

    @classmethod
    async def read(cls, receive: Receive) -> "_Recorded":
        """Read the body ahead, up to what any app accepts."""
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
