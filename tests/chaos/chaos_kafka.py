"""Reading and resetting topics and groups."""

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from chaos_arena import GROUPS

from service_runtime.brokers import Brokers


async def lag(brokers: Brokers) -> int:
    """Return the lag of all services over all their topics."""
    behind = 0
    consumer = AIOKafkaConsumer(**brokers.arguments)
    await consumer.start()
    try:
        for group in GROUPS:
            read = await committed(brokers, group)
            # aiokafka looks up the leader of an unassigned topic only seconds later.
            consumer.assign(list(read))
            consumer.pause(*read)
            ends = await consumer.end_offsets(list(read))
            behind += sum(ends[one] - offset for one, offset in read.items())
    finally:
        await consumer.stop()
    return behind


async def committed(brokers: Brokers, group: str) -> dict[TopicPartition, int]:
    """Return a group's committed offsets."""
    admin = AIOKafkaAdminClient(**brokers.arguments)
    await admin.start()
    try:
        found = await admin.list_consumer_group_offsets(group)
    finally:
        await admin.close()
    return {partition: meta.offset for partition, meta in found.items()}


async def rewind(brokers: Brokers, group: str) -> bool:
    """Reset a group; return whether the broker accepted it: no member may be left."""
    read = await committed(brokers, group)
    consumer = AIOKafkaConsumer(**brokers.arguments, group_id=group, enable_auto_commit=False)
    consumer.assign(list(read))
    await consumer.start()
    try:
        await consumer.commit(dict.fromkeys(read, 0))
    except KafkaError:
        return False
    finally:
        await consumer.stop()
    return set((await committed(brokers, group)).values()) <= {0}
