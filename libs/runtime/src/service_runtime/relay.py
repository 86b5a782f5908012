"""The relay: publishes what was committed, deletes what the broker has, sweeps what was left."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

from opentelemetry.trace import Span

from service_runtime import metrics, tracing
from service_runtime.errors import Consequence, Rejected, Unavailable, consequence_of
from service_runtime.logs import Log
from service_runtime.messages import ProducerRecord
from service_runtime.ports import Database, OutboxRow, ProducerBatch, Publisher

SWEEP_EVERY_S = 1.0
SWEEP_ROWS = 50
DELETE_EVERY_S = 0.5
MOST_IN_FLIGHT = 10_000
"""Records that the broker has not acknowledged yet; past it the consumers wait (back-pressure)."""
SEND_WITHIN_S = 8.0
"""Of one partition. What it does not take until then the sweeper sends again."""
HAND_OVER_WITHIN_S = 1.0
"""How long a consumer waits for partitions that take nothing now; those that do are quicker."""
SUSPECTS_A_SWEEP = 5
"""Each may cost the producer, which is made anew once a second."""
SUSPECT_FIRST_S = 10.0
SUSPECT_MOST_S = 60.0
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
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        """One sender at a time in each partition, so that nothing overtakes."""
        self._suspects: dict[int, _Suspect] = {}
        """Rows that the broker has refused: each is sent alone, after all others."""
        self._room = asyncio.Event()
        self._room.set()
        self._confirming: set[asyncio.Task[None]] = set()
        self._waiting = 0
        metrics.gauge("outbox_pending", "Records in the outbox.", lambda: self._waiting)

    async def publish(
        self, stored: Sequence[OutboxRow], answers: Sequence[ProducerRecord] = ()
    ) -> None:
        """Hand over what was just committed, in order. What fails here, the sweeper repeats.

        A lost answer costs its client a 202 and a replay, never money.
        """
        rows = [OutboxRow(NO_ROW, tuple(answers)), *stored] if answers else stored
        try:
            async with asyncio.timeout(SEND_WITHIN_S):
                await self._room.wait()
                await self._publish(rows)
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
        # The producer has them still; a second copy would only grow its buffer.
        rows = [row for row in late if row.id not in self._in_flight]
        fresh = [row for row in rows if row.id not in self._suspects]
        if fresh:
            _log.info("outbox_swept", count=len(fresh))
            await self.publish(fresh)
        now_s = asyncio.get_running_loop().time()
        suspects = [row for row in rows if row.id in self._suspects]
        due = [row for row in suspects if self._suspects[row.id].due_s <= now_s]
        for row in due[:SUSPECTS_A_SWEEP]:
            await self._publish([row], alone=True)

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

    async def _publish(self, rows: Sequence[OutboxRow], *, alone: bool = False) -> None:
        """Send the rows' records; a row of which one is not sent is left to the sweeper.

        `alone`: each record by itself and after the one before, to find the one that is refused.
        """
        ids = {row.id for row in rows} - {NO_ROW}
        self._in_flight |= {row.id: len(row.records) for row in rows if row.id in ids}
        sent = [
            _Sent(row.id, *tracing.sending(record, row.waited_s))
            for row in rows
            for record in row.records
        ]
        try:
            batches = await self._packed([one.record for one in sent], alone=alone)
        except BaseException:
            self._forget(ids)
            raise
        by_key: defaultdict[str, list[ProducerBatch]] = defaultdict(list)
        for batch in batches:
            by_key[batch.ordering_key].append(batch)
        sending = [
            asyncio.create_task(self._send(ordering_key, found, sent, alone=alone))
            for ordering_key, found in by_key.items()
        ]
        self._make_room()
        confirming = asyncio.create_task(self._confirm(ids, sending))
        self._confirming.add(confirming)
        confirming.add_done_callback(self._confirming.discard)
        if sending:
            await asyncio.wait(sending, timeout=HAND_OVER_WITHIN_S)

    async def _packed(
        self, records: Sequence[ProducerRecord], *, alone: bool
    ) -> Sequence[ProducerBatch]:
        if not alone:
            return await self._publisher.build_batches(records)
        return [
            replace(batch, indices=[place])
            for place, record in enumerate(records)
            for batch in await self._publisher.build_batches([record])
        ]

    async def _send(
        self,
        ordering_key: str,
        batches: Sequence[ProducerBatch],
        sent: Sequence["_Sent"],
        *,
        alone: bool,
    ) -> list["_Handed"]:
        """Send a partition's batches in order; one that fails stops none behind it."""
        handed: list[_Handed] = []
        left = deque(batches)
        try:
            async with asyncio.timeout(SEND_WITHIN_S), self._locks[ordering_key]:
                while left:
                    handed.append(_Handed(left[0], await _future_of(left[0])))
                    left.popleft()
                    if alone:
                        await asyncio.wait({handed[-1].future})
        except TimeoutError:
            handed += [_Handed(batch, _failed(Unavailable(ordering_key))) for batch in left]
        for one in handed:
            spans = [sent[place].span for place in one.batch.indices]
            one.ids |= {sent[place].row_id for place in one.batch.indices} - {NO_ROW}
            one.future.add_done_callback(partial(_ended, spans))
        return handed

    async def _confirm(
        self, ids: set[int], sending: Sequence[asyncio.Task[list["_Handed"]]]
    ) -> None:
        """Wait for the broker; what it has whole is to be deleted."""
        handed = [one for ordering_key in sending for one in await ordering_key]
        results = await asyncio.gather(*(one.future for one in handed), return_exceptions=True)
        unsent: set[int] = set()
        for one, result in zip(handed, results, strict=True):
            if isinstance(result, BaseException):
                unsent |= one.ids
                self._note_refused(one.ids, result)
        for row_id in ids - unsent:
            self._suspects.pop(row_id, None)
        self._acknowledged += ids - unsent
        self._forget(ids)

    def _note_refused(self, ids: set[int], error: BaseException) -> None:
        _log.error("not_published", count=len(ids), error_class=type(error).__qualname__)
        if not isinstance(error, Rejected):
            return
        now_s = asyncio.get_running_loop().time()
        for row_id in ids:
            self._suspects[row_id] = _Suspect.after(self._suspects.get(row_id), now_s)

    def _forget(self, ids: set[int]) -> None:
        for row_id in ids:
            self._in_flight.pop(row_id, None)
        self._make_room()

    def _make_room(self) -> None:
        if sum(self._in_flight.values()) < MOST_IN_FLIGHT:
            self._room.set()
        else:
            self._room.clear()


class _Sent(NamedTuple):
    """A record on its way: its row, and the span that ends when the broker has it."""

    row_id: int
    record: ProducerRecord
    span: Span


@dataclass(slots=True)
class _Handed:
    """A batch that the producer has, or has refused; answers have no row."""

    batch: ProducerBatch
    future: asyncio.Future[Any]
    ids: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Suspect:
    """A row that was refused: when it is tried again, alone."""

    due_s: float
    wait_s: float

    @classmethod
    def after(cls, before: "_Suspect | None", now_s: float) -> "_Suspect":
        """Return it after one more refusal: at first it may have been another row's fault."""
        if before is None:
            return cls(now_s, SUSPECT_FIRST_S)
        return cls(now_s + before.wait_s, min(2 * before.wait_s, SUSPECT_MOST_S))


async def _future_of(batch: ProducerBatch) -> asyncio.Future[Any]:
    try:
        return await batch.send()
    except Exception as error:  # noqa: BLE001 - its rows stay; those behind must not wait for that
        return _failed(error)


def _failed(error: Exception) -> asyncio.Future[Any]:
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
