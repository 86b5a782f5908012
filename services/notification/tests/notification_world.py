"""Notification with its stores, workers, providers and published events, for tests."""

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import orjson
import psycopg

from notification import handlers
from notification.clients import MemoryMessenger
from notification.domain import Contact, Policy
from notification.store import (
    TABLE,
    MemoryDeliveries,
    PostgresContacts,
    PostgresDeliveries,
    delivery_of,
    queries,
)
from payment_schemas.events.otp import Challenged
from payment_schemas.sealed import Personal
from service_runtime.admin import counts_of
from service_runtime.clock import SystemClock
from service_runtime.keys import KeyRing
from service_runtime.messages import Batch
from service_runtime.object_store import FolderStore
from service_runtime.postgres import PostgresDatabase
from service_runtime.relay import Relay
from service_runtime.sealing import Sealer
from service_runtime.subject_keys import RingProvider, SubjectKeys
from service_runtime.subjects import Vault
from service_runtime.unit_of_work import UnitOfWork
from service_runtime.work import Work, Worker
from service_runtime.work_table import PostgresWorkTable
from testkit.events import event_of, received
from testkit.memory import MemoryBroker, MemoryDatabase, MemoryWorkTable, SteadyClock
from testkit.operators import approve

SEALER = Sealer(bytes(32))
CONTACT = Contact("usr-456", Personal("+15550100456"), Personal("usr-456@example.com"))


def vault_in(folder):
    """Return keys of persons in a folder."""
    return Vault(
        SubjectKeys(FolderStore(folder / "keys"), RingProvider(KeyRing(bytes(32)))), SystemClock()
    )


def challenged(code="789012", **fields):
    event = event_of(Challenged, **fields)
    return event.model_copy(update={"sealed_code": SEALER.seal(code, event.payment_id)})


@dataclass
class World(ABC):
    clock: SteadyClock
    database: Any
    owner_dsn: str = ""
    texts: MemoryMessenger = field(default_factory=MemoryMessenger)
    mails: MemoryMessenger = field(default_factory=MemoryMessenger)

    def __post_init__(self):
        self.broker = MemoryBroker(self.clock)
        relay = Relay(self.database, self.broker)
        self.unit = UnitOfWork(self.database, relay, "notification", self.clock)

    @abstractmethod
    def table(self, only=None): ...

    @abstractmethod
    def store(self, tx): ...

    @abstractmethod
    async def next_day(self):
        """Let the time pass in which no codes are sent."""

    @abstractmethod
    async def later(self):
        """Expire every lease, and make every row that waits for a retry due."""

    async def handle(self, handler, *events):
        """Handle events as the consumer does, without offsets; return their ids."""
        items = [received(event, self.clock.new_id()) for event in events]
        async with self.database.transaction() as tx:
            await handler(Batch(items, self.clock.now()), self.store(tx))
        return [item.cause.id for item in items]

    async def challenge(self, *events):
        return await self.handle(handlers.on_challenged, *events)

    async def add_outcomes(self, *events):
        return await self.handle(handlers.on_outcome, *events)

    async def put_contacts(self, *contacts):
        async with self.database.transaction() as tx:
            await self.store(tx).put_contacts(contacts or [CONTACT])

    async def change_contact(self, contact):
        """Change a contact as two people do; return the former one."""
        former = (await self.contacts([contact.user_id]))[contact.user_id]
        async with self.database.transaction() as tx:
            await self.change(tx, contact)
        return former

    @abstractmethod
    async def change(self, tx, contact):
        """Change a contact by what the database demands."""

    async def verify(self, *events):
        return await self.handle(handlers.on_verified, *events)

    async def contacts(self, user_ids):
        async with self.database.transaction() as tx:
            return await self.store(tx).contacts(user_ids)

    async def surroundings(self, due):
        async with self.database.transaction() as tx:
            return await handlers.surroundings_of(due, self.store(tx))

    def messenger(self, channel):
        return self.texts if channel == "sms" else self.mails

    def sender(self, channel):
        return handlers.Sender(self.messenger(channel), self.surroundings, SEALER)

    async def deliver(self, channel, gather=None) -> int:
        messenger = self.messenger(channel)
        work = Work(
            table=self.table({"channel": channel}),
            handle=partial(handlers.on_due_deliveries, policy=Policy()),
            store=self.store,
            gather=gather or self.sender(channel),
            may_start=lambda: not messenger.is_open,
            slice_rows=8,
        )
        return await Worker(work, self.database, self.unit, self.clock).work_slice()

    def results(self):
        """Return (channel, template, result) of every published event, in order."""
        records = self.broker.topics["notification.delivered.v1"]
        events = [orjson.loads(record.value) for record in records]
        return [(event["channel"], event["template"], event["result"]) for event in events]


@dataclass
class MemoryWorld(World):
    database: MemoryDatabase

    def table(self, only=None):
        return MemoryWorkTable(TABLE, only)

    def store(self, tx):
        return MemoryDeliveries(tx)

    async def rows(self, payment_id):
        rows = self.database.tables.own[TABLE].values()
        return [asdict(row) for row in rows if row.payment_id == payment_id]

    async def addresses(self):
        return [row.former_address for row in self.database.tables.own[TABLE].values()]

    async def later(self):
        self.clock.pass_time(seconds=60)

    async def change(self, tx, contact):
        await self.store(tx).put_contacts([contact])

    async def next_day(self):
        self.clock.pass_time(hours=24)


@dataclass
class PostgresWorld(World):
    database: PostgresDatabase
    vault: Vault | None = None

    def table(self, only=None):
        return PostgresWorkTable(TABLE, delivery_of, only)

    def store(self, tx):
        return PostgresDeliveries(tx, self.vault)

    async def later(self):
        self.clock.pass_time(seconds=60)
        await self.execute(
            "update delivery set lease_until = lease_until - interval '60 s',"
            " due_at = due_at - interval '1 year'"
        )

    async def addresses(self):
        async with self.database.transaction() as tx:
            rows = await tx.rows("select * from delivery order by id")
            assert not any(row["former_address"] for row in rows)
            due = [delivery_of(row) for row in rows]
            found = await self.store(tx).former_addresses(due)
        return [found.get(one.id) for one in due]

    async def change(self, tx, contact):
        contacts = PostgresContacts(tx, self.vault)
        sealed = await contacts.sealed([contact])
        await approve(tx, "CONTACTS_CHANGE", {"contacts": [one.as_row() for one in sealed]})
        await contacts.put(sealed)

    async def next_day(self):
        await self.execute(
            "update contact set codes_paused_until = codes_paused_until - interval '24 h'"
        )

    async def rows(self, payment_id):
        async with self.database.transaction() as tx:
            return await queries.of_payment(tx, payment_id)

    async def check(self):
        async with self.database.transaction() as tx:
            found = await queries.check(tx)
            return found, await counts_of(tx, TABLE)

    async def clear(self):
        await self.execute(
            "truncate delivery, contact, subject, challenge_over, outbox, dead_letter, proposal,"
            " approval"
        )

    async def execute(self, statement):
        async with await psycopg.AsyncConnection.connect(self.owner_dsn) as connection:
            await connection.execute(statement)
