"""An event loop without a selector: time is virtual, and the seed selects the next task."""

import asyncio
import heapq
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from random import Random
from typing import Any, TypeVar, TypeVarTuple

MOST_STEPS = 2_000_000
"""Limit of a run; beyond it the run never ends."""

MOST_ENDINGS = 50
"""Rounds of cancellation at the end."""

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class StuckError(RuntimeError):
    """The run is deadlocked or never ends."""


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs ready callbacks in a random order from the seed; time jumps to the next timer."""

    def __init__(self, chance: Random) -> None:
        self.tasks: dict[asyncio.Future[Any], None] = {}
        self.failures: list[dict[str, Any]] = []
        """Uncaught exceptions."""
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
        return asyncio._get_running_loop() is self  # noqa: SLF001 - meant for loop implementations

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
        """Do nothing: a cancelled timer is skipped when it is due."""

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
        # A task that waits forever must not be garbage-collected at an unpredictable time.
        self.tasks[task] = None
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Future[Any]) -> None:
        self.tasks.pop(task, None)

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run until `main` has ended. Raises StuckError if it never ends."""
        before = asyncio._get_running_loop()  # noqa: SLF001 - meant for loop implementations
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
            handle._run()  # noqa: SLF001 - a loop runs handles

    def _advance(self) -> None:
        """Advance to the next timer, and make all due callbacks ready."""
        while not self._runnable:
            if not self._timers:
                raise StuckError("nothing is scheduled")
            self._now_s = max(self._now_s, self._timers[0][0])
            while self._timers and self._timers[0][0] <= self._now_s:
                handle = heapq.heappop(self._timers)[2]
                if not handle.cancelled():
                    self._runnable.append(handle)

    def _end(self) -> None:
        """Cancel all waiting tasks, so that none is left to the garbage collector."""
        for _ in range(MOST_ENDINGS):
            self._timers.clear()
            for task in list(self.tasks):
                task.cancel()
            while self._runnable:
                self._step()
            if not self.tasks:
                return
        raise StuckError("a task cannot be cancelled")
