"""Unreadable records, and replayed records."""

import asyncio
import time
from collections import defaultdict
from uuid import UUID

from aiokafka import AIOKafkaProducer
from chaos_arena import GROUPS, OURS, Arena, NotHealedError, until
from chaos_checker import at_rest
from chaos_kafka import rewind
from chaos_tables import effects, forget_offsets, rows
from psycopg import sql

from local_stack.topics import load_topics
from payment_schemas.registry import EVENTS
from testkit.events import event_of, outgoing_of

POISONED = 100
"""Records of each of the five kinds."""
LARGE_BYTES = 900_000
BURIED_WITHIN_S = 120
EMPTY_WITHIN_S = 60

Headers = list[tuple[str, bytes]]
Place = tuple[str, int, int]


async def poison(arena: Arena, _count: int) -> str:
    """Publish 500 unusable records; every consumer must record each as a dead letter."""
    producer = AIOKafkaProducer(**arena.stack.brokers.arguments, max_request_size=2_000_000)
    await producer.start()
    try:
        wanted = await _poisoned(arena, producer)
    finally:
        await producer.stop()
    began_s = time.monotonic()

    async def dead_lettered() -> bool:
        missing = [places - await _dead(arena, reader) for reader, places in wanted.items()]
        return not any(missing)

    await until(dead_lettered, BURIED_WITHIN_S, "not every poisoned record is a dead letter")
    waited_s = time.monotonic() - began_s
    return f"{5 * POISONED} records are dead letters of every reader within {waited_s:.1f} s"


async def _poisoned(arena: Arena, producer: AIOKafkaProducer) -> dict[str, set[Place]]:
    """Publish them; return the expected dead letters of each consumer."""
    readers = {topic.name: set(topic.readers) & set(GROUPS) for topic in load_topics()}
    events = [event for event in EVENTS if readers.get(event.topic)]
    wanted: dict[str, set[Place]] = defaultdict(set)
    for number in range(5 * POISONED):
        event = arena.chance.choice(events)
        good = outgoing_of(event_of(event), UUID(int=arena.chance.getrandbits(128), version=4))
        value, headers = _spoiled(arena, number % 5, good.value or b"", list(good.headers))
        sent = await producer.send_and_wait(event.topic, value, key=good.key, headers=headers)
        place = (event.topic, sent.partition, sent.offset)
        for reader in readers[event.topic]:
            wanted[reader].add(place)
    arena.log.fault("poison", records=5 * POISONED)
    return wanted


def _spoiled(arena: Arena, kind: int, value: bytes, headers: Headers) -> tuple[bytes, Headers]:
    """Return a record with an unusable value, schema, header, size or version."""
    match kind:
        case 0:
            return arena.chance.randbytes(200), headers
        case 1:
            return b'{"unexpected":true}', headers
        case 2:
            return value, [one for one in headers if one[0] != "ce_id"]
        case 3:
            return b'{"long":"' + b"x" * LARGE_BYTES + b'"}', headers
        case _:
            return value, [
                (k, b"payment.unheard-of.v9" if k == "ce_type" else v) for k, v in headers
            ]


async def _dead(arena: Arena, reader: str) -> set[Place]:
    table = sql.Identifier(reader, "dead_letter")
    query = sql.SQL('select topic, "partition", "offset" from {}').format(table)
    return set(await rows(arena, query))


async def replay(arena: Arena, count: int) -> str:
    """Make all services read all topics from offset 0, the first time with empty inboxes, too."""
    before = await effects(arena)
    for number in range(count):
        victims = arena.victims(OURS)
        await asyncio.gather(*(arena.stop(*victim) for victim in victims))
        await forget_offsets(arena, "consumed, inbox" if number == 0 else "consumed")
        for group in GROUPS:
            await until(
                lambda group=group: rewind(arena.stack.brokers, group),
                EMPTY_WITHIN_S,
                f"the group {group} cannot be rewound",
            )
        arena.log.fault("rewound")
        await asyncio.gather(*(arena.start(*victim) for victim in victims))
        await at_rest(arena)
    after = await effects(arena)
    if after != before:
        raise NotHealedError(f"a replay had effects: {before} became {after}")
    return "no new effect, inboxes emptied before the first time"
