"""Committed records are published; only acknowledged ones are deleted."""

import asyncio

import pytest

from service_runtime import relay
from service_runtime.errors import Rejected
from service_runtime.messages import ProducerRecord
from service_runtime.relay import MOST_IN_FLIGHT, SWEEP_ROWS, Relay
from testkit.events import NOON
from testkit.memory import MemoryBroker, MemoryDatabase, SteadyClock


def numbered(*numbers):
    return [ProducerRecord("t", b"k", str(number).encode(), ()) for number in numbers]


class Broker(MemoryBroker):
    """A publisher that acknowledges on request, and refuses or fails by value."""

    def __init__(self, clock):
        super().__init__(clock)
        self.unanswered = []
        self.refused = set()
        self.refused_late = set()
        self.failing = set()
        self.stuck = set()
        self.down = False
        self.holds_back = False

    async def send(self, outgoing):
        if self.down or outgoing.value in self.failing:
            raise ConnectionError("no broker")
        if outgoing.topic in self.stuck:
            await asyncio.Event().wait()
        if outgoing.value in self.refused:
            raise Rejected("too large")
        await super().send(outgoing)
        future = asyncio.get_running_loop().create_future()
        if outgoing.value in self.refused_late:
            future.set_exception(Rejected("too large for the topic"))
        elif self.holds_back:
            self.unanswered.append(future)
        else:
            future.set_result(None)
        return future

    @property
    def values(self):
        return [int(record.value) for record in self.topics["t"]]


class Outbox:
    """A relay between memory twins."""

    def __init__(self):
        self.clock = SteadyClock(NOON)
        self.database = MemoryDatabase(self.clock)
        self.broker = Broker(self.clock)
        self.relay = Relay(self.database, self.broker)

    async def keep(self, *numbers):
        """Each in a row of its own."""
        return [row for number in numbers for row in await self.keep_together(number)]

    async def keep_together(self, *numbers):
        async with self.database.transaction() as tx:
            return await tx.add_to_outbox(numbered(*numbers))

    async def sweep_later(self):
        self.clock.pass_time(seconds=11)
        await self.relay.sweep()
        await self.relay.flush()

    @property
    def left(self):
        rows = [row for row, _ in self.database.tables.outbox.values()]
        return [int(record.value) for row in rows for record in row.records]


@pytest.fixture
async def outbox():
    return Outbox()


async def test_what_was_committed_is_published_in_order_and_deleted(outbox):
    await outbox.relay.publish(await outbox.keep(1, 2, 3))
    await outbox.relay.flush()

    assert (outbox.broker.values, outbox.left) == ([1, 2, 3], [])


async def test_rows_whose_writer_died_are_swept_once_its_claim_has_run_out(outbox):
    await outbox.keep(1, 2)
    await outbox.relay.sweep()
    assert outbox.broker.values == []

    await outbox.sweep_later()

    assert (outbox.broker.values, outbox.left) == ([1, 2], [])


class Counted(MemoryDatabase):
    """The memory database, with a record of the relay's calls."""

    def __init__(self, clock):
        super().__init__(clock)
        self.asked = []

    async def claim_outbox(self, limit):
        self.asked.append("claim")
        return await super().claim_outbox(limit)

    async def count_outbox(self):
        self.asked.append("count")
        return await super().count_outbox()

    async def delete_outbox(self, ids):
        self.asked.append("delete")
        await super().delete_outbox(ids)


async def test_a_backlog_is_one_claim_one_count_one_delete_and_no_row_waits_for_the_one_before(
    outbox,
):
    outbox.database = Counted(outbox.clock)
    outbox.relay = Relay(outbox.database, outbox.broker)
    outbox.broker.holds_back = True
    numbers = list(range(SWEEP_ROWS))
    await outbox.keep(*numbers)
    outbox.clock.pass_time(seconds=11)

    await outbox.relay.sweep()
    assert outbox.broker.values == numbers
    assert len(outbox.broker.unanswered) == SWEEP_ROWS
    for future in outbox.broker.unanswered:
        future.set_result(None)
    await outbox.relay.flush()

    assert outbox.left == []
    assert sorted(outbox.database.asked) == ["claim", "count", "delete"]


async def test_an_outage_of_the_broker_loses_no_row(outbox):
    outbox.broker.down = True
    await outbox.relay.publish(await outbox.keep(1, 2))
    await outbox.relay.flush()
    assert outbox.left == [1, 2]

    outbox.broker.down = False
    await outbox.sweep_later()

    assert (outbox.broker.values, outbox.left) == ([1, 2], [])


async def test_only_what_the_broker_acknowledged_is_deleted(outbox):
    outbox.broker.holds_back = True
    await outbox.relay.publish(await outbox.keep(1, 2, 3))
    done, failed, cancelled = outbox.broker.unanswered
    done.set_result(None)
    failed.set_exception(ConnectionError("not replicated"))
    cancelled.cancel()

    await outbox.relay.flush()

    assert outbox.left == [2, 3]


async def test_a_row_is_deleted_when_the_broker_has_all_of_it(outbox):
    outbox.broker.holds_back = True
    await outbox.relay.publish(await outbox.keep_together(1, 2))
    done, failed = outbox.broker.unanswered
    done.set_result(None)
    failed.set_exception(ConnectionError("gave up"))
    await outbox.relay.flush()
    assert outbox.left == [1, 2]

    outbox.broker.holds_back = False
    await outbox.sweep_later()

    assert (outbox.broker.values, outbox.left) == ([1, 2, 1, 2], [])


async def test_a_row_in_flight_is_not_published_a_second_time(outbox):
    outbox.broker.holds_back = True
    await outbox.relay.publish(await outbox.keep(1))

    outbox.clock.pass_time(seconds=11)
    await outbox.relay.sweep()

    assert outbox.broker.values == [1]
    outbox.broker.unanswered[0].set_exception(ConnectionError("gave up"))
    await outbox.relay.flush()
    outbox.broker.holds_back = False
    await outbox.sweep_later()
    assert (outbox.broker.values, outbox.left) == ([1, 1], [])


async def test_a_record_that_can_never_be_sent_holds_up_no_other(outbox):
    outbox.broker.refused = {b"2"}
    await outbox.relay.publish(await outbox.keep(1, 2, 3))
    await outbox.relay.flush()
    assert (outbox.broker.values, outbox.left) == ([1, 3], [2])

    await outbox.keep(4)
    await outbox.sweep_later()

    assert (outbox.broker.values, outbox.left) == ([1, 3, 4], [2])


async def test_a_batch_that_fails_stops_none_behind_it(outbox):
    outbox.broker.failing = {b"1"}
    await outbox.relay.publish(await outbox.keep(1, 2, 3))
    await outbox.relay.flush()

    assert (outbox.broker.values, outbox.left) == ([2, 3], [1])


async def test_a_partition_that_accepts_nothing_delays_no_other(outbox, monkeypatch):
    monkeypatch.setattr(relay, "HAND_OVER_WITHIN_S", 0.05)
    monkeypatch.setattr(relay, "SEND_WITHIN_S", 0.3)
    outbox.broker.stuck = {"stuck"}
    async with outbox.database.transaction() as tx:
        stuck = await tx.add_to_outbox([ProducerRecord("stuck", b"k", b"0", ())])

    async with asyncio.timeout(0.2):
        await outbox.relay.publish([*stuck, *await outbox.keep(1)])
        await outbox.relay.publish([*stuck, *await outbox.keep(2)])
    assert outbox.broker.values == [1, 2]

    await asyncio.sleep(0.5)
    await outbox.relay.flush()
    assert outbox.left == [0]
    outbox.broker.stuck = set()
    await outbox.sweep_later()
    assert outbox.left == []


async def test_a_refused_row_is_resent_alone_after_all_others(outbox):
    outbox.broker.refused_late = {b"2"}
    await outbox.relay.publish(await outbox.keep_together(1, 2))
    await outbox.relay.flush()
    await outbox.keep(3)

    await outbox.sweep_later()

    assert (outbox.broker.values, outbox.left) == ([1, 2, 3, 1, 2], [1, 2])
    await outbox.keep(4)
    await outbox.sweep_later()
    assert outbox.broker.values[5:] == [4]


async def test_replies_are_sent_before_rows_and_need_no_acknowledgement(outbox):
    await outbox.relay.publish(await outbox.keep(1), numbered(9))
    await outbox.relay.flush()

    assert (outbox.broker.values, outbox.left) == ([9, 1], [])


async def test_a_lost_reply_fails_nothing(outbox):
    outbox.broker.down = True

    await outbox.relay.publish([], numbered(9))

    assert outbox.broker.values == []


async def test_a_failed_delete_is_repeated(outbox, monkeypatch):
    await outbox.relay.publish(await outbox.keep(1))
    await asyncio.sleep(0.01)
    real = outbox.database.delete_outbox
    monkeypatch.setattr(outbox.database, "delete_outbox", _refuse)
    with pytest.raises(ConnectionError):
        await outbox.relay.delete()
    monkeypatch.setattr(outbox.database, "delete_outbox", real)

    await outbox.relay.delete()

    assert outbox.left == []


async def _refuse(_ids):
    raise ConnectionError("no database")


async def test_a_cancelled_publish_forgets_nothing(outbox):
    outbox.broker.holds_back = True
    stored = await outbox.keep(*range(5))
    publishing = asyncio.create_task(outbox.relay.publish(stored))
    publishing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await publishing
    outbox.broker.holds_back = False

    await outbox.sweep_later()

    assert sorted(set(outbox.broker.values)) == [0, 1, 2, 3, 4]
    assert outbox.left == []


async def test_past_the_bound_of_rows_in_flight_the_consumers_wait(outbox):
    outbox.broker.holds_back = True
    await outbox.relay.publish(await outbox.keep_together(*range(MOST_IN_FLIGHT)))
    more = asyncio.create_task(outbox.relay.publish(await outbox.keep(-1)))
    await asyncio.sleep(0.05)
    assert len(outbox.broker.values) == MOST_IN_FLIGHT

    for future in outbox.broker.unanswered:
        future.set_result(None)
    async with asyncio.timeout(5):
        await more

    assert len(outbox.broker.values) == MOST_IN_FLIGHT + 1


async def test_a_stop_flushes_the_records_in_flight(outbox):
    stopping = asyncio.Event()
    running = asyncio.create_task(outbox.relay.run(stopping))
    await outbox.relay.publish(await outbox.keep(1))
    stopping.set()

    async with asyncio.timeout(5):
        await running

    assert outbox.left == []


async def test_a_stop_waits_for_a_silent_broker_with_a_timeout(outbox):
    outbox.broker.holds_back = True
    await outbox.relay.publish(await outbox.keep(1))
    stopping = asyncio.Event()
    stopping.set()

    async with asyncio.timeout(4):
        await outbox.relay.run(stopping)

    assert outbox.left == [1]
