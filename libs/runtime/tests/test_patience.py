"""Patient topics are read at intervals; the others at once."""

import asyncio

from aiokafka import TopicPartition

from service_runtime.patience import Patience

PATIENT, OTHER, LOST = (TopicPartition(name, 0) for name in ("patient", "other", "lost"))


class Assigned:
    """The pauses of a consumer with these partitions."""

    def __init__(self, *partitions):
        self.partitions = set(partitions)
        self.paused = set()

    def assignment(self):
        return frozenset(self.partitions)

    def pause(self, *partitions):
        assert self.partitions >= set(partitions)
        self.paused |= set(partitions)

    def resume(self, *partitions):
        assert self.partitions >= set(partitions)
        self.paused -= set(partitions)


async def test_a_patient_partition_rests_after_each_read_and_the_others_do_not():
    consumer, waits = Assigned(PATIENT, OTHER), Patience({"patient": 0.05})
    for _ in range(2):
        waits.rest(consumer, {PATIENT: [], OTHER: []})
        waits.wake(consumer)
        assert consumer.paused == {PATIENT}
        await asyncio.sleep(0.06)
        waits.wake(consumer)
        assert consumer.paused == set()


async def test_a_resting_partition_may_be_assigned_to_another_member():
    consumer, waits = Assigned(LOST), Patience({"lost": 1e-9})
    waits.rest(consumer, {LOST: []})
    consumer.partitions.clear()

    waits.wake(consumer)
    waits.rest(consumer, {LOST: []})
