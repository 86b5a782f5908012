"""The relay: publishes committed outbox rows, deletes acknowledged ones, sweeps those left over."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

from opentelemetry.trace import Span

from service_runtime import metrics, tracing
from service_runtime.errors import Consequence, Rejected, consequence_of
from service_runtime.logs import Log
from service_runtime.messages import ProducerRecord
from service_runtime.ports import Database, OutboxRow, ProducerBatch, Publisher

SWEEP_EVERY_S = 1.0
SWEEP_ROWS = 50
DELETE_EVERY_S = 0.5
MOST_IN_FLIGHT = 10_000
"""Records that the broker has not acknowledged yet; past it consumers wait (back-pressure)."""
SEND_WITHIN_S = 8.0
"""For the producer to accept a batch; after it the sweeper sends the rows again."""
HAND_OVER_WITHIN_S = 1.0
"""How long a consumer waits for partitions that accept nothing now; others accept sooner."""
REFUSED_A_SWEEP = 5
"""Each may cost the producer, which is recreated at most once a second."""
REFUSED_AGAIN_S = 60.0
FLUSH_WITHIN_S = 3.0
NO_ROW = 0
"""Row id of answers, which have no outbox row."""

_log = Log("relay")


class Relay:
    """Publishes outbox rows and deletes only those that the broker acknowledged whole."""

    def __init__(self, database: Database, publisher: Publisher) -> None:
        self._database = database
        self._publisher = publisher
        self._in_flight: dict[int, int] = {}
        """Number of records by row that is sent and not yet acknowledged."""
        self._acknowledged: list[int] = []
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        """Batches of a partition reach the producer in order, and wait for no other partition."""
        self._refused: dict[int, float] = {}
        """When to send each row that the broker refused again: alone, and behind all others."""
        self._room = asyncio.Event()
        self._room.set()
        self._confirming: set[asyncio.Task[None]] = set()
        self._waiting = 0
        metrics.gauge("outbox_pending", "Records in the outbox.", lambda: self._waiting)

    async def publish(
        self, stored: Sequence[OutboxRow], answers: Sequence[ProducerRecord] = ()
    ) -> None:
        """Publish committed rows, in order. The sweeper repeats what fails here.

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
        """Sweep and delete until the stop, then flush."""
        async with asyncio.TaskGroup() as group:
            group.create_task(_repeat(SWEEP_EVERY_S, self.sweep, stopping))
            group.create_task(_repeat(DELETE_EVERY_S, self.delete, stopping))
        await self.flush()

    async def flush(self) -> None:
        """Wait, bounded, for the broker's acknowledgements, and delete the acknowledged rows."""
        if self._confirming:
            await asyncio.wait(self._confirming, timeout=FLUSH_WITHIN_S)
        await self.delete()

    async def sweep(self) -> None:
        """Publish rows that their writer did not: it died, or the broker was away."""
        self._waiting = await self._database.count_outbox()
        late = await self._database.claim_outbox(SWEEP_ROWS)
        # The producer still holds rows in flight; a second copy would only grow its buffer.
        rows = [row for row in late if row.id not in self._in_flight]
        if fresh := [row for row in rows if row.id not in self._refused]:
            _log.info("outbox_swept", count=len(fresh))
            await self.publish(fresh)
        now_s = asyncio.get_running_loop().time()
        due = [row for row in rows if self._refused.get(row.id, now_s + 1) <= now_s]
        for row in due[:REFUSED_A_SWEEP]:
            await self._publish_alone(row)

    async def delete(self) -> None:
        """Delete the acknowledged rows."""
        if not self._acknowledged:
            return
        ids, self._acknowledged = self._acknowledged, []
        try:
            await self._database.delete_outbox(ids)
        except BaseException:
            self._acknowledged += ids
            raise

    async def _publish(self, rows: Sequence[OutboxRow]) -> None:
        """Send the rows' records; return when the producer has them, or soon after."""
        self._in_flight |= {row.id: len(row.records) for row in rows if row.id != NO_ROW}
        sent = _sent(rows)
        try:
            batches = await self._publisher.build_batches([one.record for one in sent])
        except BaseException:
            self._conclude(rows, {row.id for row in rows})
            raise
        handing = [asyncio.create_task(self._hand_over(batch, sent)) for batch in batches]
        self._make_room()
        confirming = asyncio.create_task(self._confirm(rows, sent, batches, handing))
        self._confirming.add(confirming)
        confirming.add_done_callback(self._confirming.discard)
        if handing:
            await asyncio.wait(handing, timeout=HAND_OVER_WITHIN_S)

    async def _publish_alone(self, row: OutboxRow) -> None:
        """Send a refused row record by record, so that only the refused one is not sent."""
        self._in_flight[row.id] = len(row.records)
        errors: list[Any] = []
        try:
            for one in _sent([row]):
                batches = await self._publisher.build_batches([one.record])
                futures = [await self._hand_over(batch, [one]) for batch in batches]
                errors += await asyncio.gather(*futures, return_exceptions=True)
        finally:
            errors = [error for error in errors if isinstance(error, BaseException)]
            self._note_errors([row.id], errors)
            self._conclude([row], {row.id} if errors else set())

    async def _hand_over(
        self, batch: ProducerBatch, sent: Sequence["_Sent"]
    ) -> asyncio.Future[Any]:
        """Pass a batch to the producer, behind earlier ones of its partition."""
        try:
            async with asyncio.timeout(SEND_WITHIN_S), self._locks[batch.ordering_key]:
                future = await batch.send()
        except Exception as error:  # noqa: BLE001 - its rows stay; no batch behind it must wait
            future = asyncio.get_running_loop().create_future()
            future.set_exception(error)
        future.add_done_callback(partial(_end_spans, [sent[index].span for index in batch.indices]))
        return future

    async def _confirm(
        self,
        rows: Sequence[OutboxRow],
        sent: Sequence["_Sent"],
        batches: Sequence[ProducerBatch],
        handing: Sequence[asyncio.Task[asyncio.Future[Any]]],
    ) -> None:
        """Wait for the broker; rows that it acknowledged whole are to be deleted."""
        futures = [await task for task in handing]
        results = await asyncio.gather(*futures, return_exceptions=True)
        unsent: set[int] = set()
        for batch, result in zip(batches, results, strict=True):
            if isinstance(result, BaseException):
                ids = {sent[index].row_id for index in batch.indices} - {NO_ROW}
                self._note_errors(ids, [result])
                unsent |= ids
        self._conclude(rows, unsent)

    def _note_errors(self, ids: Collection[int], errors: Iterable[BaseException]) -> None:
        now_s = asyncio.get_running_loop().time()
        for error in errors:
            _log.error("not_published", count=len(ids), error_class=type(error).__qualname__)
            if isinstance(error, Rejected):
                # At first another row of the batch may be the refused one: again at once, alone.
                self._refused |= {
                    row_id: now_s + REFUSED_AGAIN_S * (row_id in self._refused) for row_id in ids
                }

    def _conclude(self, rows: Sequence[OutboxRow], unsent: Collection[int]) -> None:
        for row in rows:
            self._in_flight.pop(row.id, None)
            if row.id != NO_ROW and row.id not in unsent:
                self._refused.pop(row.id, None)
                self._acknowledged.append(row.id)
        self._make_room()

    def _make_room(self) -> None:
        if sum(self._in_flight.values()) < MOST_IN_FLIGHT:
            self._room.set()
        else:
            self._room.clear()


class _Sent(NamedTuple):
    """A record that is sent, its row, and the span that ends with the acknowledgement."""

    row_id: int
    record: ProducerRecord
    span: Span


def _sent(rows: Iterable[OutboxRow]) -> list[_Sent]:
    return [
        _Sent(row.id, *tracing.sending(record, row.waited_s))
        for row in rows
        for record in row.records
    ]


def _end_spans(spans: Sequence[Span], _acknowledged: asyncio.Future[Any]) -> None:
    for span in spans:
        span.end()


async def _repeat(
    every_s: float, action: Callable[[], Awaitable[None]], stopping: asyncio.Event
) -> None:
    """Run the action every so often, also after an outage of a dependency."""
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
    """Wait so long, or until the stop."""
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return
