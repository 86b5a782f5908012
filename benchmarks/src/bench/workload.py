"""The rows and records of a run, which the baseline repeats."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from psycopg import sql

from bench.meters import GROUPS, Counts, read_counts
from bench.system import System
from local_stack.topics import Topic, load_topics
from payment_schemas.events.confirmation import ConfirmAnswered

BATCH_PAYMENTS = 100
OUTBOX = "outbox"
_READ_WITHIN_MS = 2000

Row = dict[str, Any]
Record = tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]
Work = Mapping[tuple[str, str], tuple[int, int, int]]
"""Rows inserted, updated and deleted, by schema and table."""


@dataclass(frozen=True, slots=True)
class Table:
    """The writes of a payment to one table, with rows."""

    schema: str
    name: str
    keys: tuple[str, ...]
    inserts: float
    """For each payment; so are updates and deletes."""
    updates: float
    deletes: float
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Workload:
    """The rows and records of a number of payments."""

    payments: int
    tables: Sequence[Table]
    records: Mapping[str, Sequence[Record]]
    """By topic."""
    topics: Mapping[str, Topic]


def read_work(system: System) -> dict[tuple[str, str], tuple[int, int, int]]:
    """Return the writes to each table so far."""
    with system.database() as cursor:
        cursor.execute(
            """select schemaname, relname, n_tup_ins, n_tup_upd, n_tup_del from pg_stat_user_tables
               where schemaname = any(%s)""",
            (list(GROUPS),),
        )
        rows: list[Row] = list(cursor)
    return {
        (row["schemaname"], row["relname"]): (row["n_tup_ins"], row["n_tup_upd"], row["n_tup_del"])
        for row in rows
    }


@dataclass(frozen=True, slots=True)
class Beginning:
    """The counters before the payments of the baseline."""

    work: Work
    counts: Counts


def begin(system: System) -> Beginning:
    """Read the current counters."""
    return Beginning(read_work(system), read_counts(system))


def capture(system: System, since: Beginning, payments: int, most: int) -> Workload:
    """Return the rows and records of up to `most` of the payments since then."""
    some = min(payments, most) // BATCH_PAYMENTS * BATCH_PAYMENTS
    topics = {topic.name: topic for topic in load_topics()}
    made = read_counts(system).since(since.counts).records
    shares = {name: round(count * some / payments) for name, count in made.items() if count}
    records = asyncio.run(_records(system.found.kafka, topics, shares))
    done = {
        place: [(now - past) / payments for now, past in zip(work, since.work[place], strict=True)]
        for place, work in read_work(system).items()
    }
    carried = _carried(records, topics)
    tables = [
        _table(system, place, work, some, carried) for place, work in done.items() if any(work)
    ]
    return Workload(some, tables, records, topics)


def _carried(
    records: Mapping[str, Sequence[Record]], topics: Mapping[str, Topic]
) -> dict[str, list[Record]]:
    """Return the records of each service's outbox: all of its topics without replies."""
    found: dict[str, list[Record]] = {}
    for name, some in records.items():
        if name != ConfirmAnswered.topic:
            found.setdefault(topics[name].owner, []).extend(some)
    return found


def _table(
    system: System,
    place: tuple[str, str],
    work: Sequence[float],
    payments: int,
    carried: Mapping[str, Sequence[Record]],
) -> Table:
    schema, name = place
    inserts, updates, deletes = work
    wanted = round((inserts or max(updates, deletes)) * payments)
    if name == OUTBOX:
        rows = _outbox_rows(carried.get(schema, ()), wanted)
        return Table(schema, name, ("id",), inserts, 0, deletes, rows)
    rows = _rows(system, place, wanted)
    return Table(schema, name, _keys(system, place), inserts, updates, deletes, rows)


def _rows(system: System, place: tuple[str, str], count: int) -> list[Row]:
    statement = sql.SQL("select row_to_json(t)::text as row from {} as t limit {}")
    with system.database() as cursor:
        cursor.execute(statement.format(sql.Identifier(*place), sql.Literal(count)))
        return [orjson.loads(str(found["row"])) for found in cursor]


def _keys(system: System, place: tuple[str, str]) -> tuple[str, ...]:
    with system.database() as cursor:
        cursor.execute(
            """select attname from pg_index join pg_attribute
                   on attrelid = indrelid and attnum = any(indkey)
               where indisprimary and indrelid = %s::regclass""",
            (".".join(place),),
        )
        return tuple(str(row["attname"]) for row in cursor)


def _outbox_rows(carried: Sequence[Record], count: int) -> list[Row]:
    """Return outbox rows for the records; they are deleted after publishing."""
    rows: list[Row] = []
    for number in range(count):
        bundle = carried[len(carried) * number // count : len(carried) * (number + 1) // count]
        packed = b"".join(
            part or b""
            for key, value, headers in bundle
            for part in (key, value, *(text for _, text in headers))
        )
        rows.append(
            {
                "id": number + 1,
                "records": f"\\x{packed.hex()}",
                "record_count": max(1, len(bundle)),
                "created_at": "2026-01-01T00:00:00Z",
                "claimed_by": "baseline",
                "claimed_until": "2026-01-01T00:00:10Z",
            }
        )
    return rows


async def _records(
    bootstrap: str, topics: Mapping[str, Topic], shares: Mapping[str, int]
) -> dict[str, list[Record]]:
    """Read the given number of last records of each topic."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await consumer.start()
    try:
        return {
            name: await _last_records(consumer, topics[name], share)
            for name, share in shares.items()
            if share
        }
    finally:
        await consumer.stop()


async def _last_records(consumer: AIOKafkaConsumer, topic: Topic, share: int) -> list[Record]:
    partitions = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
    consumer.assign(partitions)
    starts = await consumer.beginning_offsets(partitions)
    ends = await consumer.end_offsets(partitions)
    # Reads more than the share of each partition, because keys are not distributed evenly.
    each = share * 2 // topic.partitions + 1
    for partition, end in ends.items():
        consumer.seek(partition, max(starts[partition], end - each))
    records: list[Record] = []
    while len(records) < share:
        polled = await consumer.getmany(timeout_ms=_READ_WITHIN_MS)
        if not polled:
            break
        records += [
            (one.key, one.value, list(one.headers)) for some in polled.values() for one in some
        ]
    return records[:share]
