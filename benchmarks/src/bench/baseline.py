"""The baseline: the rows of a run's payments through PostgreSQL and its records through Kafka.

Without services, and prepared in advance: no time is spent on decisions or encoding. A batch is one
transaction in each schema, durable as in production; rows are updated as often as those of the
services were; each record is consumed as often as its topic has readers. Rows that belong to no
payment (balances, outboxes, offsets) are left out, which makes the baseline faster.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import orjson
import psycopg
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from psycopg import sql

from bench.errors import BenchmarkError
from bench.growth import owner_of, tables_of_payments
from bench.measuring import Measured
from bench.outcomes import records_of
from bench.system import System
from kafka_access.topics import apply_topics
from local_stack.admin import run_admin_now
from local_stack.topics import Topic, load_topics
from local_stack.waiting import elapsed_since, now_s
from ops.clients.topics import run_query
from service_runtime.brokers import Brokers

BATCH_PAYMENTS = 100
WORKERS = 8
WITHIN_S = 120
_SCHEMA = "baseline_of_{}"
_PREFIX = "baseline."

T = TypeVar("T")
Place = tuple[str, str]
"""Schema and table."""
Step = tuple[sql.Composed, str]
"""A statement and its parameter: rows as JSON."""


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a run's payments in one table."""

    place: Place
    keys: Sequence[str]
    updates: float
    """Of a row."""
    rows: Sequence[Mapping[str, Any]]
    """In the order of their payments."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """The throughput of Kafka and PostgreSQL alone."""

    payments: int
    seconds: float

    @property
    def rate(self) -> float:
        """Payments a second."""
        return self.payments / self.seconds


def measure_baseline(system: System, run: Measured) -> Baseline:
    """Stop the services, create empty copies of their tables and topics, and load them."""
    records: dict[str, list[Any]] = {}

    async def read() -> None:
        async for one in records_of(system, run.counts.spans):
            records.setdefault(one.topic, []).append(one)

    brokers = system.found.brokers
    run_query(read(), brokers, WITHIN_S)
    tables = _tables(system, run.payment_ids)
    topics = [one for one in load_topics() if one.name in records]
    for name, count in system.stack.instances.items():
        for instance in range(count):
            system.stack.stop_process(name, instance)
    _make_tables(system, tables)
    twins = [replace(one, name=_PREFIX + one.name) for one in topics]
    run_admin_now(system.found.brokers, partial(apply_topics, topics=twins))
    batches = len(run.payment_ids) // BATCH_PAYMENTS
    work = [list(_transactions(tables, number, batches)) for number in range(batches)]
    seconds = uvloop.run(_drive(system, work, records, topics))
    return Baseline(len(run.payment_ids), seconds)


def _tables(system: System, payment_ids: Sequence[str]) -> list[Table]:
    found = []
    with system.database() as cursor:
        for place, columns in tables_of_payments(system).items():
            cursor.execute(
                sql.SQL(
                    "select row_to_json(t)::text as row from {} as t"
                    " where {owner} = any(%s::uuid[]) order by {owner}"
                ).format(sql.Identifier(*place), owner=sql.Identifier(owner_of(columns) or "")),
                (list(payment_ids),),
            )
            rows = [orjson.loads(str(one["row"])) for one in cursor]
            if rows:
                found.append(Table(place, *_writes(cursor, place), rows))
    return found


def _writes(cursor: psycopg.Cursor[dict[str, Any]], place: Place) -> tuple[Sequence[str], float]:
    """Return the primary key, and the updates of a row so far."""
    cursor.execute(
        """select coalesce(n_tup_upd::float8 / nullif(n_tup_ins, 0), 0) as updates,
               array(select attname::text from pg_index join pg_attribute
                     on attrelid = indrelid and attnum = any(indkey)
                     where indisprimary and indrelid = relid) as keys
           from pg_stat_user_tables where schemaname = %s and relname = %s""",
        place,
    )
    (row,) = cursor.fetchall() or [{"keys": [], "updates": 0.0}]
    return row["keys"], row["updates"]


def _make_tables(system: System, tables: Sequence[Table]) -> None:
    with system.database() as cursor:
        for schema, name in (table.place for table in tables):
            twin = sql.Identifier(_SCHEMA.format(schema), name)
            home, source = sql.Identifier(_SCHEMA.format(schema)), sql.Identifier(schema, name)
            cursor.execute(sql.SQL("create schema if not exists {}").format(home))
            like = sql.SQL("create table {} (like {} including all)")
            cursor.execute(like.format(twin, source))


async def _drive(
    system: System,
    work: Sequence[Sequence[Sequence[Step]]],
    records: Mapping[str, Sequence[Any]],
    topics: Sequence[Topic],
) -> float:
    """Load everything, and return the seconds."""
    brokers, numbers = system.found.brokers, iter(range(len(work)))
    async with AIOKafkaProducer(
        **brokers.arguments, enable_idempotence=True, acks="all", compression_type="zstd"
    ) as producer:

        async def worker() -> None:
            async with await psycopg.AsyncConnection.connect(system.found.admin_dsn) as connection:
                for number in numbers:
                    for transaction in work[number]:
                        for statement, rows in transaction:
                            await connection.execute(statement, (rows,))
                        await connection.commit()
                    await _send(producer, records, number, len(work))

        try:
            async with asyncio.timeout(WITHIN_S), asyncio.TaskGroup() as group:
                start_s = now_s()
                for place in range(max(len(topic.readers) for topic in topics)):
                    read = [topic for topic in topics if len(topic.readers) > place]
                    group.create_task(_read(brokers, read, records))
                for _ in range(WORKERS):
                    group.create_task(worker())
        except TimeoutError:
            what = f"the baseline took over {WITHIN_S} s; next: see Kafka's log"
            raise BenchmarkError(what) from None
        return elapsed_since(start_s)


async def _send(
    producer: AIOKafkaProducer, records: Mapping[str, Sequence[Any]], number: int, batches: int
) -> None:
    futures = [
        await producer.send(
            _PREFIX + topic, key=one.key, value=one.value, headers=list(one.headers)
        )
        for topic, some in records.items()
        for one in _chunk(some, number, batches)
    ]
    await asyncio.gather(*futures)


async def _read(
    brokers: Brokers, topics: Sequence[Topic], records: Mapping[str, Sequence[Any]]
) -> None:
    async with AIOKafkaConsumer(**brokers.arguments, auto_offset_reset="earliest") as consumer:
        consumer.assign(
            TopicPartition(_PREFIX + topic.name, number)
            for topic in topics
            for number in range(topic.partitions)
        )
        missing = sum(len(records[topic.name]) for topic in topics)
        while missing > 0:
            polled = await consumer.getmany(timeout_ms=500)
            missing -= sum(len(some) for some in polled.values())


def _chunk(items: Sequence[T], number: int, batches: int) -> Sequence[T]:
    return items[len(items) * number // batches : len(items) * (number + 1) // batches]


def _transactions(tables: Sequence[Table], number: int, batches: int) -> Iterator[list[Step]]:
    """Yield the transactions of one batch, a list of statements for each schema."""
    for schema in dict.fromkeys(table.place[0] for table in tables):
        yield [
            step
            for table in tables
            if table.place[0] == schema
            for step in _steps(table, _chunk(table.rows, number, batches))
        ]


def _steps(table: Table, rows: Sequence[Mapping[str, Any]]) -> Iterator[Step]:
    """Yield the insert of the rows, and their updates."""
    if not rows:
        return
    schema, name = table.place
    kept = [column for column in rows[0] if column not in table.keys]
    names: dict[str, sql.Composable] = {
        "twin": sql.Identifier(_SCHEMA.format(schema), name),
        "columns": sql.SQL(", ").join(map(sql.Identifier, rows[0])),
        "changed": sql.Identifier(kept[-1] if kept else table.keys[-1]),
        "keys": sql.SQL(", ").join(map(sql.Identifier, table.keys)),
    }
    given = sql.SQL("json_populate_recordset(null::{twin}, %s::json)").format(**names)
    yield (
        sql.SQL(
            "insert into {twin} ({columns}) overriding system value select {columns} from {given}"
        ).format(**names, given=given),
        orjson.dumps(rows).decode(),
    )
    updated = round(table.updates * len(rows)) if table.keys else 0
    statement = sql.SQL(
        "update {twin} set {changed} = {changed} where ({keys}) in (select {keys} from {given})"
    ).format(**names, given=given)
    while updated > 0:
        yield statement, orjson.dumps(rows[:updated]).decode()
        updated -= len(rows)
