"""The baseline: a run's records through Kafka and its rows through PostgreSQL, without services.

Records and rows are prepared in advance, so no time is spent on decisions or encoding. A batch is
one transaction in each schema, durable as in production; each record is consumed as often as its
topic has readers.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import orjson
import psycopg
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from psycopg import sql

from bench.errors import BenchmarkError
from bench.meters import GROUPS
from bench.system import System
from bench.workload import BATCH_PAYMENTS, Row, Table, Workload
from local_stack.topics import apply_topics_now
from local_stack.waiting import elapsed_since, now_s

WORKERS = 8
WITHIN_S = 120
_SCHEMA = "baseline_of_{}"

T = TypeVar("T")
Step = tuple[sql.Composed, str]
"""A statement and its parameter: rows as JSON."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """The throughput of Kafka and PostgreSQL alone."""

    payments: int
    seconds: float

    @property
    def rate(self) -> float:
        """Payments a second."""
        return self.payments / self.seconds


def measure_baseline(system: System, workload: Workload) -> Baseline:
    """Stop the services, create empty copies of their tables and topics, and load them."""
    _stop_services(system)
    for schema in GROUPS:
        _make_tables(system, schema, [one for one in workload.tables if one.schema == schema])
    topics = [
        replace(topic, name=_baseline_topic(topic.name))
        for topic in workload.topics.values()
        if topic.name in workload.records
    ]
    apply_topics_now(system.found.kafka, topics)
    return uvloop.run(_drive(system, workload))


def _baseline_topic(topic: str) -> str:
    return f"baseline.{topic}"


def _stop_services(system: System) -> None:
    for name, count in system.stack.instances.items():
        for instance in range(count):
            system.stack.stop_process(name, instance)


def _make_tables(system: System, schema: str, tables: Iterable[Table]) -> None:
    home = sql.Identifier(_SCHEMA.format(schema))
    like = sql.SQL("create table {} (like {} including all)")
    fill = sql.SQL("insert into {} select * from {}")
    with system.database() as cursor:
        cursor.execute(sql.SQL("create schema {}").format(home))
        for table in tables:
            copy_table = sql.Identifier(_SCHEMA.format(schema), table.name)
            source = sql.Identifier(schema, table.name)
            cursor.execute(like.format(copy_table, source))
            if not table.inserts:
                cursor.execute(fill.format(copy_table, source))


async def _drive(system: System, workload: Workload) -> Baseline:
    batches = workload.payments // BATCH_PAYMENTS
    work = [list(_transactions(workload.tables, number, batches)) for number in range(batches)]
    numbers = iter(range(batches))
    producer = AIOKafkaProducer(
        bootstrap_servers=system.found.kafka,
        enable_idempotence=True,
        acks="all",
        linger_ms=0,
        compression_type="zstd",
    )
    await producer.start()
    try:
        async with asyncio.timeout(WITHIN_S), asyncio.TaskGroup() as group:
            start_s = now_s()
            for share in _shares(workload):
                group.create_task(_read(system.found.kafka, workload, share))
            for _ in range(WORKERS):
                group.create_task(_worker(system, (workload, work), numbers, producer))
    except TimeoutError:
        raise BenchmarkError(
            f"the baseline took over {WITHIN_S} s; next: see Kafka's log"
        ) from None
    finally:
        await producer.stop()
    return Baseline(workload.payments, elapsed_since(start_s))


async def _worker(
    system: System,
    given: tuple[Workload, Sequence[Sequence[Sequence[Step]]]],
    numbers: Iterator[int],
    producer: AIOKafkaProducer,
) -> None:
    workload, work = given
    connection = await psycopg.AsyncConnection.connect(system.found.admin_dsn)
    async with connection:
        for number in numbers:
            for transaction in work[number]:
                for statement, rows in transaction:
                    await connection.execute(statement, (rows,))
                await connection.commit()
            await _send(producer, workload, number, len(work))


async def _send(producer: AIOKafkaProducer, workload: Workload, number: int, batches: int) -> None:
    futures = [
        await producer.send(_baseline_topic(topic), key=key, value=value, headers=headers)
        for topic, records in workload.records.items()
        for key, value, headers in _chunk(records, number, batches)
    ]
    await asyncio.gather(*futures)


def _chunk(items: Sequence[T], number: int, batches: int) -> Sequence[T]:
    return items[len(items) * number // batches : len(items) * (number + 1) // batches]


def _shares(workload: Workload) -> Iterator[list[str]]:
    """Yield the topics of each consumer: in total as often as a topic has readers."""
    most = max(len(workload.topics[name].readers) for name in workload.records)
    for place in range(most):
        yield [name for name in workload.records if len(workload.topics[name].readers) > place]


async def _read(bootstrap: str, workload: Workload, topics: Sequence[str]) -> None:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign(
            TopicPartition(_baseline_topic(name), number)
            for name in topics
            for number in range(workload.topics[name].partitions)
        )
        missing = sum(len(workload.records[name]) for name in topics)
        while missing > 0:
            polled = await consumer.getmany(timeout_ms=500)
            missing -= sum(len(records) for records in polled.values())
    finally:
        await consumer.stop()


def _transactions(tables: Sequence[Table], number: int, batches: int) -> Iterator[list[Step]]:
    """Yield the transactions of one batch, a list of statements for each schema."""
    for schema in GROUPS:
        steps = [
            step
            for table in tables
            if table.schema == schema
            for step in _steps(table, _chunk(table.rows, number, batches))
        ]
        if steps:
            yield steps


def _steps(table: Table, rows: Sequence[Row]) -> Iterator[Step]:
    if not rows:
        return
    if table.inserts:
        yield _insert(table), orjson.dumps(rows).decode()
    keys = [{key: row[key] for key in table.keys} for row in rows]
    for times, statement in ((table.updates, _update(table)), (table.deletes, _delete(table))):
        remaining = round(times / (table.inserts or times or 1) * len(rows))
        while remaining > 0:
            yield statement, orjson.dumps(keys[:remaining]).decode()
            remaining -= len(keys)


def _names(table: Table) -> dict[str, sql.Composable]:
    row = table.rows[0]
    kept = [name for name in row if name not in table.keys]
    return {
        "twin": sql.Identifier(_SCHEMA.format(table.schema), table.name),
        "columns": sql.SQL(", ").join(map(sql.Identifier, row)),
        "changed": sql.Identifier(kept[-1] if kept else table.keys[-1]),
        "same": sql.SQL(" and ").join(
            sql.SQL("t.{0} = k.{0}").format(sql.Identifier(key)) for key in table.keys
        ),
    }


def _insert(table: Table) -> sql.Composed:
    return sql.SQL(
        "insert into {twin} ({columns}) overriding system value"
        " select {columns} from json_populate_recordset(null::{twin}, %s::json)"
        " on conflict do nothing"
    ).format(**_names(table))


def _update(table: Table) -> sql.Composed:
    return sql.SQL(
        "update {twin} as t set {changed} = t.{changed}"
        " from json_populate_recordset(null::{twin}, %s::json) as k where {same}"
    ).format(**_names(table))


def _delete(table: Table) -> sql.Composed:
    return sql.SQL(
        "delete from {twin} as t"
        " using json_populate_recordset(null::{twin}, %s::json) as k where {same}"
    ).format(**_names(table))
