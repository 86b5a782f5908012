"""One bad record affects no other; a repeat has no effect; look-ups run once."""

import asyncio
from uuid import UUID

import pytest

from service_runtime.errors import Rejected, Unavailable
from service_runtime.messages import ProducerRecord
from testkit.probe import Numbered, Tallied

DL = ["consumer", "topic", "partition", "offset", "reason", "error_class", "attempts", "first_seen"]


def consumed(rig):
    ((_, row),) = rig.database.tables.consumed.items()
    return row.next, row.handled


async def test_records_that_are_read_again_are_dropped_by_their_offsets(rig):
    await rig.publish(1, 2)
    await rig.consume()
    rig.source.lose_offsets()
    await rig.publish(3)

    await rig.consume()

    assert rig.tallied == [1, 2, 3]
    assert rig.count.batches == [[1, 2], [3]]
    assert consumed(rig) == (3, 3)


async def test_a_new_process_reads_on_where_the_database_says(rig):
    await rig.publish(1, 2)
    await rig.consume()
    rig.source.committed = dict.fromkeys(rig.source.committed, 0)
    rig.source.crash()
    await rig.publish(3)

    await rig.consume()

    assert rig.count.batches == [[1, 2], [3]]


async def test_an_instance_that_was_overtaken_finds_nothing_left(rig):
    """As after a pause: the records that it holds were handled by another instance meanwhile."""
    await rig.publish(1, 2, 3)

    async def overtake(_batch):
        async with rig.database.transaction() as tx:
            records = rig.broker.topics[Numbered.topic][:2]
            await tx.raise_offsets("probe", records, are_handled=True)
        return {}

    rig.handle(gather=overtake)
    await rig.consume()

    assert rig.tallied == [3]
    assert consumed(rig) == (3, 3)


async def test_an_overtaken_instance_writes_no_dead_letter(rig):
    rig.count.always[1] = Rejected("never")
    await rig.publish(1)

    async def overtake(_batch):
        async with rig.database.transaction() as tx:
            await tx.raise_offsets("probe", rig.broker.topics[Numbered.topic], are_handled=True)
        return {}

    rig.handle(gather=overtake)
    await rig.consume()

    assert (rig.letters, rig.tallied) == ([], [])


async def test_with_an_inbox_an_event_at_another_offset_is_dropped_also_within_one_batch(make_rig):
    rig = make_rig(inbox=True)
    await rig.publish(1, 2, 1, 2, 3)
    await rig.consume()
    await rig.publish(2, 3, 4)

    await rig.consume()

    assert rig.tallied == [1, 2, 3, 4]
    assert len(rig.broker.topics[Tallied.topic]) == 4
    assert consumed(rig)[0] == 8


async def test_the_offset_is_raised_over_dead_letters_and_counts_them_apart(rig, record):
    rig.count.always[2] = Rejected("never")
    await rig.broker.send(bad(record, value=b"first"))
    await rig.publish(1, 2)
    await rig.broker.send(bad(record, value=b"last"))

    await rig.consume()

    assert consumed(rig) == (4, 1)
    assert len(rig.letters) == 3


@pytest.mark.parametrize("fails_at", range(1, 4))
async def test_no_offset_is_raised_over_a_dead_letter_that_is_not_recorded(rig, record, fails_at):
    """Whichever transaction fails: first letters, then events, then offsets over the letters."""
    await rig.broker.send(bad(record, value=b"nonsense"))
    await rig.publish(1)
    await rig.broker.send(bad(record, value=b"nonsense"))
    await rig.source.place()
    rig.database.faults = [None] * (fails_at - 1) + [Unavailable("down")]

    await rig.consume()

    assert (rig.tallied, len(rig.letters), consumed(rig)) == ([1], 2, (3, 1))
    assert rig.count.batches == [[1]]


async def test_a_partition_without_offsets_is_waited_for_and_nothing_is_handled(rig):
    await rig.publish(1)
    await rig.source.place()
    rig.database.tables.consumed.clear()
    stopping = asyncio.Event()
    running = asyncio.create_task(rig.consumer.run(stopping))
    await asyncio.sleep(0.05)
    stopping.set()
    await running

    assert (rig.tallied, rig.letters) == ([], [])


async def test_a_start_without_a_database_waits_for_it(rig):
    await rig.publish(1)
    rig.database.faults = [Unavailable("down")] * 2

    await rig.consume()

    assert (rig.tallied, len(rig.source.idled)) == ([1], 2)


def bad(record, **changed):
    value = changed.pop("value", b"same")
    good = record(13, event_id=UUID(int=13), **changed)
    return good if value == b"same" else ProducerRecord(good.topic, good.key, value, good.headers)


POISON = {
    "bytes": ({"value": b"\x00\xff\xfe"}, b"schema"),
    "schema": ({"value": b'{"lane":"a"}'}, b"schema"),
    "null value": ({"value": None}, b"schema"),
    "wrong type": ({"ce_type": b"probe.other.v1"}, b"type"),
    "unknown version": ({"ce_type": b"probe.numbered.v2"}, b"type"),
    "non-UTF-8 header": ({"ce_id": b"\xff\xfe"}, b"header"),
    "id is no UUID": ({"ce_id": b"13"}, b"header"),
    "no headers of ours": ({"ce_id": None, "ce_type": None}, b"header"),
    "900 KB": ({"value": b"x" * 900_000}, b"schema"),
}


@pytest.mark.parametrize("poison", POISON)
async def test_a_poison_record_among_500_becomes_one_whole_dead_letter(rig, record, poison):
    changed, reason = POISON[poison]
    sent = bad(record, **dict(changed))
    await rig.publish(*range(100, 350))
    await rig.broker.send(sent)
    await rig.publish(*range(350, 599))

    await rig.consume()

    assert rig.tallied == list(range(100, 599))
    (letter,) = rig.letters
    assert (letter.key, letter.value) == (sent.key, sent.value)
    assert letter.headers[: len(sent.headers)] == sent.headers
    why = dict(letter.headers[len(sent.headers) :])
    assert list(why) == [f"dl_{name}" for name in DL]
    assert (why["dl_topic"], why["dl_offset"]) == (Numbered.topic.encode(), b"250")
    assert (why["dl_consumer"], why["dl_reason"]) == (b"probe", reason)


async def test_a_dead_letter_is_written_once_however_often_its_record_is_read(rig, record):
    await rig.broker.send(bad(record, value=b"nonsense"))
    await rig.consume()
    rig.source.committed = dict.fromkeys(rig.source.committed, 0)
    rig.source.crash()

    await rig.consume()

    assert len(rig.letters) == 1


async def test_a_redriven_record_is_handled_by_the_consumer_that_refused_it(make_rig):
    rig = make_rig(inbox=True)
    rig.count.always[1] = Rejected("until mended")
    await rig.publish(1, 2)
    await rig.consume()
    del rig.count.always[1]

    await rig.publish(1, 2)
    await rig.consume()

    assert rig.tallied == [2, 1]
    assert len(rig.letters) == 1


async def test_poison_and_a_failing_record_in_one_batch_both_become_dead_letters(rig, record):
    rig.count.always[2] = Rejected("never")
    await rig.broker.send(bad(record, value=b"nonsense"))
    await rig.publish(1, 2, 3)

    await rig.consume()

    assert (rig.tallied, len(rig.letters)) == ([1, 3], 2)


class LookUp:
    """A look-up with given failures."""

    def __init__(self):
        self.asked = []
        self.faults = []
        self.stumbles_over = set()

    async def __call__(self, batch):
        numbers = [item.event.number for item in batch]
        self.asked.append(numbers)
        if self.faults:
            raise self.faults.pop()
        if self.stumbles_over & set(numbers):
            raise KeyError("not foreseen")
        return {item.cause.id: item.event.number * 10 for item in batch}


async def test_look_ups_run_once_a_batch_whatever_its_transaction_does(make_rig):
    look_up = LookUp()
    rig = make_rig(gather=look_up)
    rig.count.faults[1] = [Unavailable("down")] * 3
    await rig.publish(1, 2)

    await rig.consume()

    assert look_up.asked == [[1, 2]]
    assert rig.count.found == [{UUID(int=1): 10, UUID(int=2): 20}] * 4


async def test_a_look_up_is_retried_after_an_outage(make_rig):
    look_up = LookUp()
    look_up.faults = [TimeoutError(), Unavailable("down")]
    rig = make_rig(gather=look_up)
    await rig.publish(1)

    await rig.consume()

    assert (look_up.asked, rig.tallied, len(rig.source.idled)) == ([[1]] * 3, [1], 2)


async def test_a_record_whose_look_up_fails_stops_no_other(make_rig):
    look_up = LookUp()
    look_up.stumbles_over = {2}
    rig = make_rig(gather=look_up)
    await rig.publish(1, 2, 3)

    await rig.consume()

    assert rig.tallied == [1, 3]
    assert dict(rig.letters[0].headers)["dl_error_class"] == b"KeyError"


async def test_workers_are_woken_after_the_commit(make_rig):
    seen = []
    rig = make_rig(after_commit=[lambda _: seen.append(list(rig.tallied))])
    await rig.publish(1, 2)

    await rig.consume()

    assert seen == [[1, 2]]


async def test_a_stop_during_an_outage_leaves_the_records_for_the_next_start(rig):
    rig.count.always[1] = Unavailable("for ever")
    await rig.publish(1)
    stopping = asyncio.Event()
    running = asyncio.create_task(rig.consumer.run(stopping))
    await asyncio.sleep(0.05)

    stopping.set()
    async with asyncio.timeout(2):
        await running

    assert len(rig.source.idled) >= 1
    assert rig.source.committed[Numbered.topic] == 0
