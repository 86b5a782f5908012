"""Topics and groups, seen and moved from outside."""

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from chaos_arena import GROUPS


async def lag(brokers: str) -> int:
    """Return how many records the services have not read yet, over all their topics."""
    behind = 0
    consumer = AIOKafkaConsumer(bootstrap_servers=brokers)
    await consumer.start()
    try:
        for group in GROUPS:
            read = await committed(brokers, group)
            # Of a topic that is not assigned, aiokafka asks for the leader only seconds later.
            consumer.assign(list(read))
            consumer.pause(*read)
            ends = await consumer.end_offsets(list(read))
            behind += sum(ends[one] - offset for one, offset in read.items())
    finally:
        await consumer.stop()
    return behind


async def committed(brokers: str, group: str) -> dict[TopicPartition, int]:
    """Return how far a group has read."""
    admin = AIOKafkaAdminClient(bootstrap_servers=brokers)
    await admin.start()
    try:
        found = await admin.list_consumer_group_offsets(group)
    finally:
        await admin.close()
    return {partition: meta.offset for partition, meta in found.items()}


async def rewind(brokers: str, group: str) -> bool:
    """Let a group begin anew; return whether the broker took it, which has to wait for members."""
    read = await committed(brokers, group)
    consumer = AIOKafkaConsumer(bootstrap_servers=brokers, group_id=group, enable_auto_commit=False)
    consumer.assign(list(read))
    await consumer.start()
    try:
        await consumer.commit(dict.fromkeys(read, 0))
    except KafkaError:
        return False
    finally:
        await consumer.stop()
    return set((await committed(brokers, group)).values()) <= {0}
