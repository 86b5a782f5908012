"""Kafka clients of a bank, with the settings that no message is lost by."""

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from countersign_partner.properties import Partner


def consumer_of(partner: Partner, group: str | None = None) -> AIOKafkaConsumer:
    """Return a consumer of the instructions; its reader commits, after its own transaction."""
    return AIOKafkaConsumer(
        partner.instructions,
        group_id=group or partner.group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        # A killed process holds up its partitions for so long. Source: the least of a broker.
        session_timeout_ms=6000,
        **partner.kafka,
    )


def producer_of(partner: Partner) -> AIOKafkaProducer:
    """Return a producer of reports: acknowledged by all replicas, without repeats."""
    return AIOKafkaProducer(acks="all", enable_idempotence=True, **partner.kafka)
