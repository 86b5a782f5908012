"""Calls of a language model: one deadline over all tries, a breaker, bounded retries."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from insight.domain.prompts import Prompt
from service_runtime import metrics, tracing
from service_runtime.backoff import delay_s
from service_runtime.breaker import Breaker
from service_runtime.clock import Clock

_calls = metrics.counter("model_calls", "Calls of the language model, by result.")
_durations = metrics.histogram("model.call.duration", "Calls of the language model.")


@dataclass(frozen=True, slots=True)
class Completion:
    """A reply, and what it used."""

    text: str
    input_tokens: int
    output_tokens: int


class ModelError(Exception):
    """No reply: `reason` is one word; `again`: whether another try may help."""

    def __init__(
        self, reason: str, *, again: bool = False, after_s: float = 0.0, is_billed: bool = False
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.again = again
        self.after_s = after_s
        """The shortest wait that the server demands."""
        self.is_billed = is_billed
        """Whether the call may cost all the same: nobody knows what became of it."""


class Api(Protocol):
    """An API of language models."""

    async def complete(self, prompt: Prompt, most_tokens: int) -> Completion:
        """Return a reply; raise ModelError."""
        ...


class Reservations(Protocol):
    """Reserves what a call may use before it is made."""

    async def reserve(self, prompt: Prompt, most_tokens: int) -> Any:
        """Reserve what a call may use at most; return None where the day does not admit it."""
        ...

    async def settle(self, reserved: Any, completion: Completion | None) -> None:
        """Replace a reservation by what was used; None: by nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Timing:
    """The deadlines and bounds of calls."""

    deadline_s: float
    """Over all tries and the waits between them."""
    try_s: float
    tries: int
    open_s: float
    most_tokens: int


class Model:
    """A guarded language model."""

    def __init__(self, api: Api, budget: Reservations, timing: Timing, clock: Clock) -> None:
        self._api = api
        self._budget = budget
        self._timing = timing
        self._clock = clock
        self._breaker = Breaker(timing.open_s)
        # Not `breaker_state_…`: whoever it fails, no payment waits for it, and nobody is paged.
        metrics.gauge(
            "model_breaker_state",
            "0 closed, 1 half open, 2 open.",
            lambda: float(self._breaker.shown(time.monotonic())),
        )

    @property
    def state(self) -> int:
        """The state of the breaker."""
        return int(self._breaker.shown(time.monotonic()))

    async def ask(self, prompt: Prompt, deadline_s: float | None = None) -> Completion:
        """Return a reply within the deadline. Raises ModelError."""
        try:
            async with asyncio.timeout(deadline_s or self._timing.deadline_s):
                return await self._tries(prompt)
        except TimeoutError:
            raise ModelError("deadline") from None

    async def _tries(self, prompt: Prompt) -> Completion:
        for attempt in range(1, self._timing.tries + 1):
            try:
                return await self._once(prompt)
            except ModelError as error:
                if not error.again or attempt == self._timing.tries:
                    raise
                wait_s = max(error.after_s, delay_s(attempt, self._clock))
            # A wait beyond the deadline ends with it.
            await asyncio.sleep(wait_s)
        raise AssertionError("unreachable: the last try returns or raises")

    async def _once(self, prompt: Prompt) -> Completion:
        if self._breaker.is_open(time.monotonic()):
            raise ModelError("breaker_open")
        reserved = await self._budget.reserve(prompt, self._timing.most_tokens)
        if reserved is None:
            raise ModelError("budget")
        completion: Completion | None = None
        is_free = False
        try:
            completion = await self._guarded(lambda: self._within(prompt))
        except ModelError as error:
            is_free = not error.is_billed
            raise
        finally:
            if completion or is_free:
                await self._budget.settle(reserved, completion)
        return completion

    async def _guarded(self, call: Callable[[], Awaitable[Completion]]) -> Completion:
        began_s = time.monotonic()
        if not self._breaker.admits(began_s):
            raise ModelError("breaker_open")
        ok: bool | None = None
        result = "cancelled"
        try:
            with tracing.calling("complete model", **{"server.name": "model"}):
                completion = await call()
            ok, result = True, "ok"
        except ModelError as error:
            # A model that refuses a request responds: it does not fail.
            ok, result = error.reason == "refused", error.reason
            raise
        except asyncio.CancelledError:
            ok = False
            raise
        finally:
            self._breaker.ended(time.monotonic(), ok=ok)
            _calls.add(1, {"result": result})
            _durations.record(time.monotonic() - began_s)
        return completion

    async def _within(self, prompt: Prompt) -> Completion:
        try:
            async with asyncio.timeout(self._timing.try_s):
                return await self._api.complete(prompt, self._timing.most_tokens)
        except TimeoutError:
            raise ModelError("timeout", again=True, is_billed=True) from None
