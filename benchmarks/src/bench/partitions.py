"""Confirm's topics with another number of partitions."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from aiokafka.admin import AIOKafkaAdminClient

from bench.system import System
from local_stack.topics import apply_topics_now, load_topics

_DELETED_WITHIN_S = 60


def repartition(system: System, reader: str, partitions: int) -> None:
    """Recreate a service's topics. No producer or consumer of them may run."""
    topics = [
        replace(topic, partitions=partitions) for topic in load_topics() if reader in topic.readers
    ]
    asyncio.run(_delete(system.found.kafka, [topic.name for topic in topics]))
    apply_topics_now(system.found.kafka, topics)


async def _delete(bootstrap: str, names: Sequence[str]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.delete_topics(list(names))
        async with asyncio.timeout(_DELETED_WITHIN_S):
            remaining = set(names)
            while remaining:
                await asyncio.sleep(0.1)
                remaining &= set(await admin.list_topics())
    finally:
        await admin.close()
