"""Topics that are read at intervals, so that more of their records are handled together."""

import asyncio
from collections.abc import Collection, Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition


class Patience:
    """Pauses a topic's partition after each read for `every_s[topic]` seconds.

    The other topics are read on.
    """

    def __init__(self, every_s: Mapping[str, float]) -> None:
        self._every_s = {topic: seconds for topic, seconds in every_s.items() if seconds}
        self._resting: dict[TopicPartition, float] = {}
        """Paused partitions, and when they are read again."""

    def rest(self, consumer: AIOKafkaConsumer, read: Collection[TopicPartition]) -> None:
        """Pause those partitions that were just read and may wait."""
        patient = {one for one in read if one.topic in self._every_s} & consumer.assignment()
        if patient:
            consumer.pause(*patient)
            self._resting |= {one: _time_s() + self._every_s[one.topic] for one in patient}

    def wake(self, consumer: AIOKafkaConsumer) -> None:
        """Let the partitions be read again that have waited long enough."""
        rested = {one for one, until_s in self._resting.items() if until_s <= _time_s()}
        for one in rested:
            del self._resting[one]
        consumer.resume(*rested & consumer.assignment())


def _time_s() -> float:
    return asyncio.get_running_loop().time()
