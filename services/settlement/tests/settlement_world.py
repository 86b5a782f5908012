"""Settlement in memory or in PostgreSQL: stores, workers and a memory broker."""

import re
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

import orjson
import psycopg
from settlement_builders import OUR_KEYS

from partner_messages.messages import reports_topic
from service_runtime.admin import counts_of
from service_runtime.consumer import Consumer, Handler
from service_runtime.messages import Batch
from service_runtime.positions import Positions
from service_runtime.postgres import PostgresDatabase
from service_runtime.relay import Relay
from service_runtime.unit_of_work import UnitOfWork
from service_runtime.work import Work, Worker
from service_runtime.work_table import PostgresWorkTable
from settlement import handlers
from settlement.clients import MemoryPartnerBank
from settlement.domain import BATCH_ROWS, Instruction, NextStep, Policy
from settlement.handlers import REPORT_TOPICS
from settlement.store import (
    DUE_PUBLICATIONS,
    TABLE,
    MemoryCases,
    MemoryInstructions,
    MemoryPartners,
    PostgresCases,
    PostgresInstructions,
    PostgresPartners,
    instruction_of,
    queries,
)
from testkit.events import received
from testkit.memory import (
    MemoryBroker,
    MemoryDatabase,
    MemorySource,
    MemoryWorkTable,
    SteadyClock,
)

OUTLET = handlers.Outlet(OUR_KEYS)
ROUTING = handlers.Routing({"north-": "north-bank"}, "first-bank")


@dataclass
class World(ABC):
    clock: SteadyClock
    database: Any
    owner_dsn: str = ""
    bank: MemoryPartnerBank = field(default_factory=MemoryPartnerBank)
    north: MemoryPartnerBank = field(default_factory=MemoryPartnerBank)
    policy: Policy = field(default_factory=Policy)

    def __post_init__(self):
        self.broker = MemoryBroker(self.clock)
        relay = Relay(self.database, self.broker)
        self.unit = UnitOfWork(self.database, relay, "settlement", self.clock)

    @abstractmethod
    def table(self, only=None): ...

    @abstractmethod
    def publications(self):
        """Return the work table of what is to be published."""

    @abstractmethod
    def store(self, tx): ...

    @abstractmethod
    def cases(self, tx): ...

    @abstractmethod
    def partners(self, tx): ...

    @abstractmethod
    async def later(self):
        """Let every lease expire and every open row become due."""

    @abstractmethod
    async def an_hour_later(self): ...

    @abstractmethod
    async def later_within_window(self):
        """Like `later`, but within the in-flight window."""

    @abstractmethod
    async def row_of(self, instruction: Instruction) -> dict[str, Any]:
        """Return the row of an instruction."""

    @abstractmethod
    async def unfinished(self) -> int: ...

    async def request(self, *events, trace=()):
        """Handle requests like the consumer, without offsets; publish what they emit."""
        items = [received(event, self.clock.new_id()) for event in events]
        items = [replace(item, cause=replace(item.cause, trace=trace)) for item in items]
        batch = Batch(items, self.clock.now())

        async def handle(tx):
            handled = handlers.on_settlement_requested(batch, self.store(tx), ROUTING, OUTLET)
            return [each.outgoing("settlement", batch.now) for each in await handled]

        await self.unit.run_in_transaction(handle)

    def worker(self, step: NextStep, partner="first-bank", **changes) -> Worker:
        bank = self.bank if partner == "first-bank" else self.north
        send = handlers.send if self.policy.is_idempotent else handlers.send_once
        gather = send if step is NextStep.SEND else handlers.enquire
        work = Work(
            table=self.table({"partner": partner, "next_step": step.value}),
            handle=partial(handlers.on_due_instructions, policy=self.policy),
            store=self.store,
            begin=handlers.on_due_instructions_claimed,
            gather=changes.get("gather", partial(gather, bank=bank, clock=self.clock)),
            may_start=lambda: not bank.is_open,
            slice_rows=BATCH_ROWS,
            checks_epochs=True,
            takes_over=step is NextStep.SEND and self.policy.is_idempotent,
        )
        return Worker(work, self.database, self.unit, self.clock)

    def publisher(self) -> Worker:
        """Return the worker of what is published later or again."""
        handle = partial(handlers.on_due_publications, outlet=OUTLET)
        return Worker(
            Work(self.publications(), handle, self.store, checks_epochs=True),
            self.database,
            self.unit,
            self.clock,
        )

    async def add_partner(self, *profiles):
        async with self.database.transaction() as tx:
            for profile in profiles:
                await self.partners(tx).add(profile)

    async def change_partner(self, profile):
        async with self.database.transaction() as tx:
            await self.partners(tx).save(profile)

    async def hear(self, *records):
        """Publish banks' records, and consume every topic of reports to its end."""
        for record in records:
            await self.broker.send(record)
        topics = [topic for topic in self.broker.topics if re.fullmatch(REPORT_TOPICS, topic)]
        source = MemorySource(self.broker, topics, Positions(self.database, "settlement"))
        handler = Handler(None, handlers.on_bank_reports, self.store, pattern=REPORT_TOPICS)
        consumer = Consumer("settlement", source, self.unit, [handler], self.clock)
        await source.drain(consumer.run)

    def refused(self, partner="kafka-bank"):
        """Return the reasons of the dead letters that the bank may read, in order."""
        records = self.broker.topics[f"{reports_topic(partner)}-dlq"]
        return [dict(record.headers)["dl_reason"].decode() for record in records]

    async def send(self, **changes) -> int:
        return await self.worker(NextStep.SEND, **changes).work_slice()

    async def enquire(self, **changes) -> int:
        return await self.worker(NextStep.ENQUIRE, **changes).work_slice()

    async def until_settled(self, rounds=60):
        """Send, enquire and let time pass until every instruction has ended."""
        for _ in range(rounds):
            await self.send()
            await self.enquire()
            await self.later()
            if not await self.unfinished():
                return
        raise AssertionError(f"an instruction has not ended after {rounds} rounds")

    def reconciliation(self) -> handlers.Reconciliation:
        banks = {"first-bank": self.bank, "north-bank": self.north}
        return handlers.Reconciliation(banks, self.cases, self.unit.run_in_transaction, self.clock)

    def resolutions(self) -> handlers.Resolutions:
        return handlers.Resolutions(self.cases, self.unit.run_in_transaction, self.clock)

    async def list_cases(self, **query):
        async with self.database.transaction() as tx:
            return await self.cases(tx).find(**query)

    def replays(self) -> handlers.Replays:
        return handlers.Replays(OUTLET, self.unit.run_in_transaction, self.clock)

    def audit_entries(self):
        """Return (action, actor) of every audit record, in order."""
        records = [orjson.loads(record.value) for record in self.broker.topics["audit.recorded.v1"]]
        return [(record["action"], record["actor"]) for record in records]

    def published(self):
        """Return (status, version) of every published event, in order."""
        records = self.broker.topics["settlement.updated.v1"]
        events = [orjson.loads(record.value) for record in records]
        return [(event["status"], event["version"]) for event in events]

    def settled(self):
        """Return the UETRs of the published SETTLED events."""
        events = [orjson.loads(r.value) for r in self.broker.topics["settlement.updated.v1"]]
        return {event["uetr"] for event in events if event["status"] == "SETTLED"}

    def event_ids(self):
        records = self.broker.topics["settlement.updated.v1"]
        return [dict(record.headers)["ce_id"] for record in records]


@dataclass
class MemoryWorld(World):
    database: MemoryDatabase

    def table(self, only=None):
        return MemoryWorkTable(TABLE, only)

    def publications(self):
        return MemoryWorkTable(TABLE, {"next_step": "PUBLISH"})

    def store(self, tx):
        return MemoryInstructions(tx)

    def cases(self, tx):
        return MemoryCases(tx)

    def partners(self, tx):
        return MemoryPartners(tx)

    async def row_of(self, instruction):
        own = self.database.tables.own
        row = own[TABLE][instruction.payment_id]
        times = own[f"{TABLE}/times"][instruction.payment_id]
        return {**asdict(row), "updated_at": times.updated_at}

    async def unfinished(self):
        rows = self.database.tables.own[TABLE].values()
        return sum(row.due_at is not None for row in rows)

    async def later(self):
        self.clock.pass_time(seconds=60)

    async def an_hour_later(self):
        self.clock.pass_time(seconds=3600)

    async def later_within_window(self):
        self.clock.pass_time(seconds=20)


@dataclass
class PostgresWorld(World):
    database: PostgresDatabase

    def table(self, only=None):
        return PostgresWorkTable(TABLE, instruction_of, only)

    def publications(self):
        return PostgresWorkTable(TABLE, instruction_of, due=DUE_PUBLICATIONS)

    def store(self, tx):
        return PostgresInstructions(tx)

    def cases(self, tx):
        return PostgresCases(tx)

    def partners(self, tx):
        return PostgresPartners(tx)

    async def row_of(self, instruction):
        async with self.database.transaction() as tx:
            (row,) = await queries.find(tx, instruction.payment_id)
        return row

    async def check(self, since=None):
        async with self.database.transaction() as tx:
            return await queries.check(tx, since), await counts_of(tx, TABLE)

    async def unfinished(self):
        found, _ = await self.check()
        return len(found.unfinished)

    async def later(self):
        await self.execute(
            "update instruction set lease_until = lease_until - interval '60 s',"
            " due_at = due_at - interval '1 year'"
        )

    async def an_hour_later(self):
        await self.later()

    async def later_within_window(self):
        await self.later()

    async def clear(self):
        tables = "reconciliation_case, booking, statement_read, statement_page, partner_replay"
        tables += ", instruction, kafka_partner, outbox"
        await self.execute(f"truncate {tables}, dead_letter, consumed")

    async def execute(self, statement):
        async with await psycopg.AsyncConnection.connect(self.owner_dsn) as connection:
            await connection.execute(statement)
