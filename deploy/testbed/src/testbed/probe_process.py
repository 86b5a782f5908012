"""The probe as a process on separate topics, with its controls for tests."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import httpx
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete

from local_stack.discovery import RunningStack
from service_runtime.brokers import Brokers
from service_runtime.messages import ProducerRecord
from service_runtime.producer import KafkaProducer
from service_runtime.settings import ServiceSettings
from testkit.probe import numbered_on

PARTITIONS = 2


async def make_topics(brokers: Brokers, *names: str) -> None:
    """Create topics that accept dead letters of any size."""
    admin = AIOKafkaAdminClient(**brokers.arguments)
    await admin.start()
    try:
        there = set(await admin.list_topics())
        large = {"max.message.bytes": str(2 * 1024 * 1024)}
        await admin.create_topics(
            [NewTopic(n, PARTITIONS, 1, topic_configs=large) for n in names if n not in there]
        )
    finally:
        await admin.close()


class Probe:
    """The probe's processes on one topic."""

    def __init__(self, infrastructure: RunningStack, settings: ServiceSettings, topic: str) -> None:
        self.brokers, self.topic = infrastructure.brokers, topic
        self.kafka = infrastructure.kafka_environment()
        self.event, self.tells = numbered_on(topic), f"{topic}.tallied"
        self._settings = settings
        self._processes: list[subprocess.Popen[bytes]] = []
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    def start(self, password_file: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start the process with changes to its environment."""
        process = subprocess.Popen(
            [sys.executable, "-m", "testkit.probe", self.topic],
            env=os.environ
            | self.kafka
            | {
                "PROFILE": "dev",
                "PORT": str(self.port),
                # A restarted static member keeps its partitions, so each topic has its own group.
                "PROBE_NAME": self.topic,
                "DATABASE_URL": self._settings.database_url,
                "DATABASE_PASSWORD_FILE": password_file,
            }
            | environment,
            stdout=subprocess.DEVNULL,
        )
        self._processes.append(process)
        return process

    def end(self) -> None:
        """Kill the running processes."""
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.wait(10)

    async def publish(self, records: Sequence[ProducerRecord]) -> None:
        """Publish records and wait for the acknowledgement."""
        async with KafkaProducer(self.brokers, "test") as producer:
            futures = [await producer.send(record) for record in records]
            await asyncio.gather(*futures)

    async def delete_all_but_the_last(self) -> None:
        """Delete the records of each partition but its last one, as the topic's retention does."""
        reader = AIOKafkaConsumer(**self.brokers.arguments)
        admin = AIOKafkaAdminClient(**self.brokers.arguments)
        await reader.start()
        await admin.start()
        try:
            partitions = [TopicPartition(self.topic, number) for number in range(PARTITIONS)]
            reader.assign(partitions)
            ends = await reader.end_offsets(partitions)
            kept = {one: RecordsToDelete(max(0, end - 1)) for one, end in ends.items()}
            await admin.delete_records(kept)
        finally:
            await admin.close()
            await reader.stop()

    async def ready(self) -> None:
        """Wait until the process is ready."""
        async with httpx.AsyncClient(timeout=2) as http, asyncio.timeout(30):
            while True:
                try:
                    answer = await http.get(f"http://127.0.0.1:{self.port}/ready")
                except httpx.TransportError:
                    await asyncio.sleep(0.05)
                    continue
                if answer.status_code == 200:
                    return
                await asyncio.sleep(0.05)

    async def read(self, topic: str, count: int) -> list[Any]:
        """Read the first records of a topic, and any further ones that arrive."""
        consumer = AIOKafkaConsumer(**self.brokers.arguments, auto_offset_reset="earliest")
        await consumer.start()
        try:
            consumer.assign([TopicPartition(topic, number) for number in range(PARTITIONS)])
            found: list[Any] = []
            deadline = time.monotonic() + 20
            while len(found) < count and time.monotonic() < deadline:
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found += records
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found += records
            return found
        finally:
            await consumer.stop()
