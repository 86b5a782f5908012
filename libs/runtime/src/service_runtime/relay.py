"""The relay: publishes what was committed, deletes what the broker has, sweeps what was left."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from opentelemetry.trace import Span

from service_runtime import metrics, tracing
from service_runtime.errors import Consequence, Rejected, consequence_of
from service_runtime.logs import Log
from service_runtime.messages import Outgoing
from service_runtime.ports import Database, Parcel, Publisher, Stored

SWEEP_EVERY_S = 1.0
SWEEP_ROWS = 50
DELETE_EVERY_S = 0.5
MOST_IN_FLIGHT = 10_000
"""Records that the broker has not acknowledged yet; past it the consumers wait (back-pressure)."""
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
        self._in_flight: dict[int, int] = {}
        """Records in each row that the producer has and the broker has not acknowledged."""
        self._acknowledged: list[int] = []
        self._room = asyncio.Event()
        self._room.set()
        self._confirming: set[asyncio.Task[None]] = set()
        self._waiting = 0
        metrics.gauge("outbox_pending", "Records in the outbox.", lambda: self._waiting)

    async def publish(self, stored: Sequence[Stored], answers: Sequence[Outgoing] = ()) -> None:
        """Hand over what was just committed, in order. What fails here, the sweeper repeats.

        A lost answer costs its client a 202 and a replay, never money.
        """
        try:
            async with asyncio.timeout(SEND_WITHIN_S):
                await self._room.wait()
                if answers:
                    await self._hand_over([Stored(NO_ROW, tuple(answers))])
                await self._hand_over(stored)
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
        self._waiting = await self._database.count_outbox()
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

    async def _hand_over(self, rows: Sequence[Stored]) -> None:
        """Send the rows' records; a row of which one is not sent is left to the sweeper."""
        in_flight = {row.id: len(row.records) for row in rows if row.id != NO_ROW}
        self._in_flight |= in_flight
        sent = [
            (row.id, *tracing.sending(record, row.waited_s))
            for row in rows
            for record in row.records
        ]
        handed: list[_Handed] = []
        unsent = set(in_flight)
        try:
            parcels = await self._publisher.pack([record for _, record, _ in sent])
            for parcel in parcels:
                future = await _sent(parcel)
                future.add_done_callback(partial(_ended, [sent[at][2] for at in parcel.places]))
                handed.append(_Handed({sent[at][0] for at in parcel.places} - {NO_ROW}, future))
            unsent = set()
        finally:
            self._confirm(set(in_flight), unsent, handed)

    def _confirm(self, ids: set[int], unsent: set[int], handed: Sequence["_Handed"]) -> None:
        self._make_room()
        task = asyncio.create_task(self._confirmed(ids, unsent, handed))
        self._confirming.add(task)
        task.add_done_callback(self._confirming.discard)

    async def _confirmed(
        self, ids: set[int], unsent: set[int], handed: Sequence["_Handed"]
    ) -> None:
        """Wait for the broker; what it has whole is to be deleted."""
        futures = [parcel.future for parcel in handed]
        results = await asyncio.gather(*futures, return_exceptions=True)
        for parcel, result in zip(handed, results, strict=True):
            if isinstance(result, BaseException):
                unsent |= parcel.ids
                error_class = type(result).__qualname__
                _log.error("not_published", count=len(parcel.ids), error_class=error_class)
        for row_id in ids:
            self._in_flight.pop(row_id, None)
        self._acknowledged += ids - unsent
        self._make_room()

    def _make_room(self) -> None:
        if sum(self._in_flight.values()) < MOST_IN_FLIGHT:
            self._room.set()
        else:
            self._room.clear()


@dataclass(frozen=True, slots=True)
class _Handed:
    """Rows whose records the producer has; answers have no row."""

    ids: set[int]
    future: asyncio.Future[Any]


async def _sent(parcel: Parcel) -> asyncio.Future[Any]:
    try:
        return await parcel.send()
    except Rejected as error:
        # Its row stays for a person to see; the rows behind it must not wait for that.
        refused: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        refused.set_exception(error)
        return refused


def _ended(spans: Sequence[Span], _sent: asyncio.Future[Any]) -> None:
    for span in spans:
        span.end()


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
