"""Confirm's stores, handlers and deadline worker, in memory and in PostgreSQL."""

import asyncio
from abc import ABC, abstractmethod
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import psycopg
from confirm_builders import POLICY
from psycopg.errors import UniqueViolation
from psycopg.rows import dict_row

from confirm import handlers
from confirm.app import new_uetr
from confirm.domain.ledger import Ledger
from confirm.domain.opening import Opening
from confirm.domain.payment import Payment, Policy
from confirm.store import MemoryPayments, PostgresPayments
from confirm.store.postgres import payment_of
from confirm.store.records import PaymentQueries
from payment_schemas.events.confirmation import ConfirmAnswered, ConfirmRequested
from payment_schemas.events.otp import Challenged, ChallengeRefused, Verified
from payment_schemas.events.risk import RiskAssessed
from payment_schemas.events.settlement import SettlementUpdated
from service_runtime.messages import Batch
from service_runtime.relay import Relay
from service_runtime.unit_of_work import UnitOfWork
from service_runtime.work import Work, Worker
from service_runtime.work_table import PostgresWorkTable
from testkit.events import received
from testkit.memory import MemoryBroker, MemoryWorkTable, SteadyClock

TABLES = "review_case, entry, journal, payment, account, inbox, outbox, dead_letter"


@dataclass
class World(ABC):
    clock: SteadyClock
    database: Any
    admin_dsn: str = ""
    policy: Policy = POLICY
    refused: tuple[type[Exception], ...] = (ValueError,)
    """The errors of a refused write."""
    broker: MemoryBroker = field(init=False)

    def __post_init__(self):
        self.broker = MemoryBroker(self.clock)
        self.unit = UnitOfWork(
            self.database, Relay(self.database, self.broker), "confirm", self.clock
        )

    @abstractmethod
    def store(self, tx): ...

    @abstractmethod
    def table(self): ...

    @abstractmethod
    async def open_account(self, name, owner, balance_minor, currency="USD"): ...

    @abstractmethod
    async def payments(self) -> list[Payment]: ...

    @abstractmethod
    async def journals(self) -> list[tuple[Any, str]]:
        """Payment and kind of every journal except openings, sorted."""

    @abstractmethod
    async def reviews(self) -> list[Any]: ...

    @abstractmethod
    async def balances(self) -> dict[str, int]: ...

    @abstractmethod
    async def later(self, **delta):
        """Advance the clock; deadlines and leases come closer too."""

    @asynccontextmanager
    async def stored(self):
        """A store in its own transaction."""
        async with self.database.transaction() as tx:
            yield self.store(tx)

    async def take(self, *events):
        """Handle events in one transaction and return the emitted events; retry a lost race."""
        items = [received(event, self.clock.new_id()) for event in events]
        try:
            return await self._take_once(items)
        except UniqueViolation:
            return await self._take_once(items)

    async def _take_once(self, items):
        async with self.stored() as store:
            handle = self.handler(items[0].event)
            return [emit.event for emit in await handle(Batch(items, self.clock.now()), store)]

    def handler(self, event):
        draw_uetr = partial(new_uetr, self.clock)
        by_event = {
            ConfirmRequested: partial(
                handlers.on_confirm_requested, policy=self.policy, draw_uetr=draw_uetr
            ),
            RiskAssessed: partial(handlers.on_risk_assessed, policy=self.policy),
            Challenged: partial(handlers.on_challenged, policy=self.policy),
            ChallengeRefused: handlers.on_challenge_refused,
            Verified: partial(handlers.on_verified, policy=self.policy),
            SettlementUpdated: handlers.on_settlement_updated,
        }
        return by_event[type(event)]

    async def ask(self, *requests) -> list[ConfirmAnswered]:
        """Handle requests; return their replies."""
        return answers(await self.take(*requests))

    def deadlines(self) -> Worker:
        work = Work(self.table(), handlers.on_due_payments, self.store)
        return Worker(work, self.database, self.unit, self.clock)


def answers(events) -> list[ConfirmAnswered]:
    return [event for event in events if isinstance(event, ConfirmAnswered)]


class MemoryWorld(World):
    def store(self, tx):
        return MemoryPayments(tx)

    def table(self):
        return MemoryWorkTable("payment")

    @property
    def own(self):
        return self.database.tables.own

    async def open_account(self, name, owner, balance_minor, currency="USD"):
        opening = Opening(name, owner, balance_minor, currency)
        (account,) = opening.accounts()
        ledger = Ledger({name: account})
        for journal in opening.journals([account]):
            ledger.post(journal)
        async with self.database.transaction() as tx:
            tx.own["account"][name] = account
            await MemoryPayments(tx).post(ledger)

    async def payments(self):
        return list(self.own["payment"].values())

    async def journals(self):
        kinds = [(payment, kind) for payment, kind in self.own["journal"] if kind != "OPEN"]
        return sorted(kinds)

    async def reviews(self):
        return [case.payment_id for case in self.own["review_case"].values()]

    async def balances(self):
        return {name: account.balance_minor for name, account in self.own["account"].items()}

    async def later(self, **delta):
        self.clock.pass_time(**delta)


class PostgresWorld(World):
    def store(self, tx):
        return PostgresPayments(tx)

    def table(self):
        return PostgresWorkTable("payment", payment_of)

    async def open_account(self, name, owner, balance_minor, currency="USD"):
        async with self.database.transaction() as tx:
            await PaymentQueries(tx).open_accounts(Opening(name, owner, balance_minor, currency))

    async def payments(self):
        return [payment_of(row) for row in await self.rows("select * from payment order by id")]

    async def journals(self):
        rows = await self.rows(
            "select payment_id, kind from journal where kind <> 'OPEN' order by 1, 2"
        )
        return [(row["payment_id"], row["kind"]) for row in rows]

    async def reviews(self):
        return [row["payment_id"] for row in await self.rows("select payment_id from review_case")]

    async def balances(self):
        rows = await self.rows("select id, balance_minor from account")
        return {row["id"]: row["balance_minor"] for row in rows}

    async def later(self, **delta):
        """The database uses its own clock, so its times are moved back."""
        before = self.clock.now()
        self.clock.pass_time(**delta)
        await self.plant(
            "update payment set due_at = due_at - %(by)s, lease_until = lease_until - %(by)s",
            by=self.clock.now() - before,
        )

    async def rows(self, statement, **parameters):
        async with self.database.transaction() as tx:
            return await tx.rows(statement, **parameters)

    async def plant(self, *statements, **parameters):
        """Write without triggers and foreign keys, as a database fault would."""
        async with await self.admin() as admin:
            await admin.execute("set session_replication_role = replica")
            for statement in statements:
                await admin.execute(statement, parameters or None)

    async def admin(self):
        return await psycopg.AsyncConnection.connect(
            self.admin_dsn, row_factory=dict_row, options="-c search_path=confirm"
        )

    async def clear(self):
        await self.plant(f"truncate {TABLES}")

    async def blocked(self, count=1):
        """Wait until `count` transactions wait for a lock."""
        async with asyncio.timeout(5):
            while True:
                rows = await self.rows(
                    "select count(*) as n from pg_stat_activity where wait_event_type = 'Lock'"
                    " and datname = current_database()"
                )
                if rows[0]["n"] >= count:
                    return
                await asyncio.sleep(0.01)
