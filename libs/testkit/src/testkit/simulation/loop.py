"""An event loop without a selector: time is virtual, and who goes next is drawn."""

import asyncio
import heapq
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from random import Random
from typing import Any, TypeVar, TypeVarTuple

MOST_STEPS = 2_000_000
"""Of one run; past it the run turns in circles."""

MOST_ENDINGS = 50
"""Rounds of cancelling what still waits at the end."""

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class StuckError(RuntimeError):
    """Nothing will ever happen again, or it never ends."""


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs what is ready in an order drawn from `chance`; time jumps to the next timer."""

    def __init__(self, chance: Random) -> None:
        self.tasks: dict[asyncio.Future[Any], None] = {}
        self.failures: list[dict[str, Any]] = []
        """What nobody caught."""
        self._chance = chance
        self._runnable: list[asyncio.Handle] = []
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._made = 0
        self._now_s = 0.0
        self._is_over = False
        super().__init__()

    def time(self) -> float:
        return self._now_s

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return asyncio._get_running_loop() is self  # noqa: SLF001 - public for whoever writes a loop

    def is_closed(self) -> bool:
        return self._is_over

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.failures.append(context)

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._runnable.append(handle)
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now_s + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._made += 1
        heapq.heappush(self._timers, (when, self._made, handle))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Nothing: a cancelled timer is passed over when its time comes."""

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        name: object = None,
        context: Context | None = None,
    ) -> asyncio.Task[T]:
        task: asyncio.Task[T] = asyncio.Task(
            coro, loop=self, name=None if name is None else str(name), context=context
        )
        # Kept: a task that waits for ever must not be collected at a time that nobody draws.
        self.tasks[task] = None
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Future[Any]) -> None:
        self.tasks.pop(task, None)

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run until `main` has ended. Raises StuckError where it never will."""
        before = asyncio._get_running_loop()  # noqa: SLF001 - public for whoever writes a loop
        asyncio._set_running_loop(self)  # noqa: SLF001 - the same
        try:
            task = self.create_task(main)
            for _ in range(MOST_STEPS):
                if task.done():
                    return task.result()
                self._step()
            raise StuckError("too many steps")
        finally:
            self._end()
            self._is_over = True
            asyncio._set_running_loop(before)  # noqa: SLF001 - the same

    def _step(self) -> None:
        if not self._runnable:
            self._advance()
        ready = self._runnable
        drawn = int(self._chance.random() * len(ready))
        ready[drawn], ready[-1] = ready[-1], ready[drawn]
        handle = ready.pop()
        if not handle.cancelled():
            handle._run()  # noqa: SLF001 - what a loop is there for

    def _advance(self) -> None:
        """Move on to the next time at which something is due, and make all of that ready."""
        while not self._runnable:
            if not self._timers:
                raise StuckError("nothing will ever happen again")
            self._now_s = max(self._now_s, self._timers[0][0])
            while self._timers and self._timers[0][0] <= self._now_s:
                handle = heapq.heappop(self._timers)[2]
                if not handle.cancelled():
                    self._runnable.append(handle)

    def _end(self) -> None:
        """Cancel what still waits, so that nothing is left to the collector."""
        for _ in range(MOST_ENDINGS):
            self._timers.clear()
            for task in list(self.tasks):
                task.cancel()
            while self._runnable:
                self._step()
            if not self.tasks:
                return
        raise StuckError("a task cannot be cancelled")
