"""Blocking and CPU-bound calls: a bounded executor of threads or processes."""

import asyncio
import multiprocessing
from collections.abc import Callable
from concurrent.futures import Executor as Pool
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from typing import Any, Self, TypeVar, TypeVarTuple

from service_runtime import metrics
from service_runtime.errors import Unavailable

R = TypeVar("R")
Ts = TypeVarTuple("Ts")

_calls = metrics.histogram("executor_call_duration", "Calls, with their wait for a worker.")
_refused = metrics.counter("executor_refused", "Calls without a result in time, by reason.")


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much an executor takes on."""

    workers: int
    queue: int
    """Calls that may wait for a worker; more are refused at once."""
    deadline_s: float
    """For a call with its wait for a worker."""


class Executor:
    """Runs calls in threads (blocking SDKs) or in processes (computation in Python).

    A call past its deadline raises TimeoutError. A thread cannot be ended, so it stays occupied
    until its call returns; a process is killed and replaced. Calls and results of processes are
    pickled, and so is `warm_up`, which runs once in each process (with threads: once) before the
    executor is ready.
    """

    def __init__(
        self,
        name: str,
        bounds: Bounds,
        warm_up: Callable[[], object] | None = None,
        *,
        processes: bool = False,
    ) -> None:
        self._name = name
        self._bounds = bounds
        self._warm_up = warm_up
        self._processes = processes
        self._idle: asyncio.Queue[Pool] = asyncio.Queue()
        self._workers: set[Pool] = set()
        self._waiting = 0
        self._starting: set[asyncio.Task[None]] = set()
        self._running: set[asyncio.Future[Any]] = set()

    async def __aenter__(self) -> Self:
        """Start the workers and warm them up; the process serves nothing before."""
        if self._warm_up is not None and not self._processes:
            await asyncio.to_thread(self._warm_up)
        await asyncio.gather(*[self._start_worker() for _ in range(self._bounds.workers)])
        return self

    async def __aexit__(self, *_error: object) -> None:
        for pending in (*self._starting, *self._running):
            pending.cancel()
        for worker in self._workers:
            _end(worker)

    async def run(self, call: Callable[[*Ts], R], *arguments: *Ts) -> R:
        """Return the call's result; raise Unavailable if the queue is full, or TimeoutError."""
        if self._is_full:
            _refused.add(1, {"executor": self._name, "reason": "full"})
            raise Unavailable(f"{self._name}: the queue is full")
        started_s = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(started_s + self._bounds.deadline_s):
                return await self._run(call, *arguments)
        except TimeoutError:
            _refused.add(1, {"executor": self._name, "reason": "deadline"})
            raise
        finally:
            took_s = asyncio.get_running_loop().time() - started_s
            _calls.record(took_s, {"executor": self._name})

    @property
    def _is_full(self) -> bool:
        return self._idle.empty() and self._waiting >= self._bounds.queue

    async def _run(self, call: Callable[[*Ts], R], *arguments: *Ts) -> R:
        self._waiting += 1
        try:
            worker = await self._idle.get()
        finally:
            self._waiting -= 1
        running = asyncio.get_running_loop().run_in_executor(worker, call, *arguments)
        self._running.add(running)
        running.add_done_callback(partial(self._release, worker))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            if not running.done():
                _kill(worker)
            raise

    def _release(self, worker: Pool, ended: asyncio.Future[Any]) -> None:
        """Make the worker idle again; replace it if its process has died."""
        self._running.discard(ended)
        error = None if ended.cancelled() else ended.exception()
        if not isinstance(error, BrokenProcessPool):
            self._idle.put_nowait(worker)
            return
        _end(worker)
        self._workers.discard(worker)
        task = asyncio.create_task(self._start_worker())
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)

    async def _start_worker(self) -> None:
        worker = self._new_worker()
        self._workers.add(worker)
        await asyncio.get_running_loop().run_in_executor(worker, _nothing)
        self._idle.put_nowait(worker)

    def _new_worker(self) -> Pool:
        if not self._processes:
            return ThreadPoolExecutor(1, self._name)
        # A fork would copy the state of this process's threads.
        spawned = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(1, spawned, self._warm_up or _nothing)


def _nothing() -> None:
    """Show that the worker runs."""


def _kill(worker: Pool) -> None:
    if isinstance(worker, ProcessPoolExecutor):
        for process in list((worker._processes or {}).values()):  # noqa: SLF001 - public from Python 3.14 on: kill_workers
            process.kill()


def _end(worker: Pool) -> None:
    _kill(worker)
    worker.shutdown(wait=False, cancel_futures=True)
