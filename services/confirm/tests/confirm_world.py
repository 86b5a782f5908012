"""Confirm's stores, handlers and deadline worker, in memory and in PostgreSQL."""

import asyncio
from abc import ABC, abstractmethod
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import psycopg
from confirm_builders import POLICY
from psycopg.errors import UniqueViolation
from psycopg.rows import dict_row

from confirm import handlers
from confirm.app import new_uetr
from confirm.domain.ledger import ledger
from confirm.domain.opening import Opening
from confirm.domain.payment import Payment, Policy
from confirm.store import UNFINISHED, MemoryPayments, PostgresDeadlines, PostgresPayments
from confirm.store.postgres import payment_of
from confirm.store.records import PaymentQueries
from payment_schemas.events.confirmation import ConfirmAnswered, ConfirmRequested, ReviewOpened
from payment_schemas.events.otp import Challenged, ChallengeRefused, Verified
from payment_schemas.events.risk import RiskAssessed
from payment_schemas.events.settlement import SettlementUpdated
from service_runtime.messages import Batch
from service_runtime.relay import Relay
from service_runtime.unit_of_work import UnitOfWork
from service_runtime.work import Work, Worker
from testkit.events import received
from testkit.memory import MemoryBroker, MemoryWorkTable, SteadyClock
from testkit.operators import approve

TABLES = (
    "review_case, transfer, payment, payment_state, unfinished_payment, account,"
    " consumed, outbox, dead_letter, proposal, approval, request_token"
)


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
    async def transfers(self) -> list[tuple[Any, str]]:
        """Payment and kind of every transfer except openings, sorted."""

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
            ReviewOpened: handlers.on_review_opened,
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
        return MemoryWorkTable(UNFINISHED)

    @property
    def own(self):
        return self.database.tables.own

    async def open_account(self, name, owner, balance_minor, currency="USD"):
        opening = Opening(name, owner, balance_minor, currency)
        (account,) = opening.accounts()
        funding = ledger({name: account})
        for transfer in opening.transfers([account]):
            funding.post(transfer)
        async with self.stored() as store:
            await store.open_accounts([account])
            await store.post(funding)

    async def payments(self):
        return list(self.own["payment"].values())

    async def transfers(self):
        kinds = [(payment, kind) for payment, kind in self.own["transfer"] if kind != "OPEN"]
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
        return PostgresDeadlines()

    async def open_account(self, name, owner, balance_minor, currency="USD"):
        opening = Opening(name, owner, balance_minor, currency)
        async with self.database.transaction() as tx:
            await approve(tx, "ACCOUNTS_OPEN", asdict(opening))
            await PaymentQueries(tx).open_accounts(opening)

    async def payments(self):
        return [
            payment_of(row) for row in await self.rows("select * from payment_record order by id")
        ]

    async def transfers(self):
        rows = await self.rows(
            "select source_id, kind from transfer where kind <> 'OPEN' order by 1, 2"
        )
        return [(row["source_id"], row["kind"]) for row in rows]

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
            "update payment_state set due_at = due_at - %(by)s",
            "update unfinished_payment set due_at = due_at - %(by)s,"
            " lease_until = lease_until - %(by)s",
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

    async def add_history(self, first, last):
        """Add payments that were settled a day ago, with their transfers."""
        payments = f"generate_series({first}, {last}) as n"
        identity = "lpad(to_hex(n), 32, '0')::uuid"
        posted = "now() - interval '1 day' + n * interval '1 ms'"
        await self.plant(
            f"""insert into payment (id, user_id, transaction_id, idempotency_key, amount_minor,
                    currency, from_account, to_account, uetr, reference, created_at,
                    settlement_method)
                select {identity}, 'usr-456', 'tx-' || n, 'key-' || n, 1, 'USD', 'acc-1', 'payee',
                    {identity}, 'ref-' || n, {posted}, 'ACH' from {payments}""",  # noqa: S608
            f"""insert into payment_state (id, status, version, request_id, reply_partition,
                    updated_at, settlement_status, settlement_version, risk_score,
                    challenge_number, challenge_over, answer_body)
                select {identity}, 'CONFIRMED', 2, {identity}, 0, {posted}, 'SETTLED', 3, 1, 0,
                    false, '' from {payments}""",  # noqa: S608
            f"""insert into transfer (source_id, kind, debit_account, credit_account,
                    amount_minor, currency, posted_at)
                select {identity}, kind, debit, credit, 1, 'USD', {posted}
                from {payments}, (values ('HOLD', 'acc-1', 'in-flight:USD'),
                    ('SETTLE', 'in-flight:USD', 'clearing:USD')) as one (kind, debit, credit)
                order by n""",  # noqa: S608
        )
        connection = await psycopg.AsyncConnection.connect(
            self.admin_dsn, options="-c search_path=confirm", autocommit=True
        )
        async with connection:
            tables = "payment, payment_state, unfinished_payment, transfer, account"
            await connection.execute(f"vacuum analyze {tables}")

    async def clear(self):
        await self.plant(
            f"truncate {TABLES}, ledger_checkpoint",
            "update ledger_frontier set posted_before = '-infinity'",
        )

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
