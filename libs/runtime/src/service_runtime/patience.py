"""Topics that are read at intervals, so that more of their records are handled together."""

import asyncio
from collections.abc import Collection

from aiokafka import AIOKafkaConsumer, TopicPartition

PATIENCE_S = 0.4
"""Shortest time between two reads of a partition of a patient topic."""


class Patience:
    """Pauses partitions of patient topics after each read; the other topics are read on."""

    def __init__(self, topics: Collection[str]) -> None:
        self._topics = frozenset(topics)
        self._resting: dict[TopicPartition, float] = {}
        """Paused partitions, and when they are read again."""

    def rest(self, consumer: AIOKafkaConsumer, read: Collection[TopicPartition]) -> None:
        """Pause those partitions that were just read and may wait."""
        patient = {one for one in read if one.topic in self._topics} & consumer.assignment()
        if patient:
            consumer.pause(*patient)
            self._resting |= dict.fromkeys(patient, _time_s() + PATIENCE_S)

    def wake(self, consumer: AIOKafkaConsumer) -> None:
        """Let the partitions be read again that have waited long enough."""
        rested = {one for one, until_s in self._resting.items() if until_s <= _time_s()}
        for one in rested:
            del self._resting[one]
        consumer.resume(*rested & consumer.assignment())


def _time_s() -> float:
    return asyncio.get_running_loop().time()
