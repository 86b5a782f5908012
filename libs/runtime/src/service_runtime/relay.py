"""The relay: publishes what was committed, deletes what the broker has, sweeps what was left."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from service_runtime import metrics, tracing
from service_runtime.errors import Consequence, Rejected, consequence_of
from service_runtime.logs import Log
from service_runtime.messages import Outgoing
from service_runtime.ports import Database, Publisher, Stored

SWEEP_EVERY_S = 1.0
SWEEP_ROWS = 500
DELETE_EVERY_S = 0.2
MOST_IN_FLIGHT = 10_000
"""Rows that the broker has not acknowledged yet; past it the consumers wait (back-pressure)."""
SEND_WITHIN_S = 8.0
FLUSH_WITHIN_S = 3.0
NO_ROW = 0
"""Stands for the row of an answer, which has none."""

_log = Log("relay")


class Relay:
    """Publishes outbox rows. Only what the broker acknowledged is deleted."""

    def __init__(self, database: Database, publisher: Publisher) -> None:
        self._database = database
        self._publisher = publisher
        self._in_flight: set[int] = set()
        self._acknowledged: list[int] = []
        self._room = asyncio.Event()
        self._room.set()
        self._confirming: set[asyncio.Task[None]] = set()
        self._waiting_rows = 0
        metrics.gauge("outbox_pending", "Rows in the outbox.", lambda: self._waiting_rows)

    async def publish(self, stored: Sequence[Stored], answers: Sequence[Outgoing] = ()) -> None:
        """Hand over what was just committed, in order. What fails here, the sweeper repeats.

        A lost answer costs its client a 202 and a replay, never money.
        """
        try:
            async with asyncio.timeout(SEND_WITHIN_S):
                await self._room.wait()
                await self._hand_over([], [Stored(NO_ROW, answer) for answer in answers])
                await self._hand_over([row.id for row in stored], stored)
        except Exception as error:  # noqa: BLE001 - the rows are committed: nothing is lost by going on
            _log.warning("publish_delayed", count=len(stored), error_class=type(error).__qualname__)

    async def run(self, stopping: asyncio.Event) -> None:
        """Sweep and delete until told to stop, then flush."""
        async with asyncio.TaskGroup() as group:
            group.create_task(_repeat(SWEEP_EVERY_S, self.sweep, stopping))
            group.create_task(_repeat(DELETE_EVERY_S, self.delete, stopping))
        await self.flush()

    async def flush(self) -> None:
        """Wait, bounded, until the broker has what was handed over, and delete it."""
        if self._confirming:
            await asyncio.wait(self._confirming, timeout=FLUSH_WITHIN_S)
        await self.delete()

    async def sweep(self) -> None:
        """Publish rows whose writer did not: it died, or the broker was away."""
        self._waiting_rows = await self._database.count_outbox()
        late = await self._database.claim_outbox(SWEEP_ROWS)
        # The producer never gives up what it was handed; a second copy would only grow its buffer.
        rows = [row for row in late if row.id not in self._in_flight]
        if rows:
            _log.info("outbox_swept", count=len(rows))
            await self.publish(rows)

    async def delete(self) -> None:
        """Delete what the broker has acknowledged."""
        if not self._acknowledged:
            return
        ids, self._acknowledged = self._acknowledged, []
        try:
            await self._database.delete_outbox(ids)
        except BaseException:
            self._acknowledged += ids
            raise

    async def _hand_over(self, ids: list[int], rows: Sequence[Stored]) -> None:
        futures: list[asyncio.Future[Any]] = []
        self._in_flight.update(ids)
        try:
            for row in rows:
                futures.append(await self._send(row))  # noqa: PERF401 - kept on failure
        finally:
            self._in_flight.difference_update(ids[len(futures) :])
            if futures:
                self._confirm(ids[: len(futures)], futures)

    async def _send(self, row: Stored) -> asyncio.Future[Any]:
        outgoing, span = tracing.sending(row.outgoing, row.waited_s)
        future = await self._handed(outgoing)
        future.add_done_callback(lambda _: span.end())
        return future

    async def _handed(self, record: Outgoing) -> asyncio.Future[Any]:
        try:
            return await self._publisher.send(record)
        except Rejected as error:
            # Its row stays for a person to see; the rows behind it must not wait for that.
            refused: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            refused.set_exception(error)
            return refused

    def _confirm(self, ids: list[int], futures: list[asyncio.Future[Any]]) -> None:
        self._make_room()
        task = asyncio.create_task(self._confirmed(ids, futures))
        self._confirming.add(task)
        task.add_done_callback(self._confirming.discard)

    async def _confirmed(self, ids: list[int], futures: list[asyncio.Future[Any]]) -> None:
        results = await asyncio.gather(*futures, return_exceptions=True)
        self._in_flight.difference_update(ids)
        self._make_room()
        refused = [result for result in results if isinstance(result, BaseException)]
        if refused:
            error_class = type(refused[0]).__qualname__
            _log.error("not_published", count=len(refused), error_class=error_class)
        # Answers have no row, so there are more results than ids.
        pairs = zip(ids, results, strict=False)
        self._acknowledged += [id_ for id_, one in pairs if not isinstance(one, BaseException)]

    def _make_room(self) -> None:
        if len(self._in_flight) < MOST_IN_FLIGHT:
            self._room.set()
        else:
            self._room.clear()


async def _repeat(
    every_s: float, action: Callable[[], Awaitable[None]], stopping: asyncio.Event
) -> None:
    """Run the action again and again; an outage of something else is waited out."""
    while not stopping.is_set():
        delay_s = every_s
        try:
            await action()
        except Exception as error:
            if consequence_of(error) is not Consequence.WAIT:
                raise
            delay_s = max(every_s, SWEEP_EVERY_S)
            _log.warning("waiting", error_class=type(error).__qualname__, delay_s=delay_s)
        await pause(stopping, delay_s)


async def pause(stopping: asyncio.Event, seconds: float) -> None:
    """Wait so long, or until told to stop."""
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return
