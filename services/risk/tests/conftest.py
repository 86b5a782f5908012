"""Builders that show only the deciding fields, and the stores that the suites run on."""

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

import psycopg
import pytest

from local_stack.databases import DATABASE, admin_dsn, owner_of
from local_stack.stack import Stack
from payment_schemas.cloudevents import Attributes, headers_of
from payment_schemas.events.base import Event
from payment_schemas.events.confirmation import PaymentConfirmed
from payment_schemas.events.risk import AssessmentRequested, Screening
from payment_schemas.ids import payment_id_of
from risk.domain import AmountBand, Evidence, History, Levels, Points, Policy, Question
from risk.settings import USD_RATES
from risk.store import MemoryAssessments, PostgresAssessments, assessment_table
from service_runtime.messages import Cause, Received, Record
from service_runtime.migrations import migrate
from service_runtime.postgres import PostgresDatabase
from service_runtime.settings import ServiceSettings
from testkit.memory import MemoryDatabase, MemoryWorkTable, SteadyClock

SERVICE = Path(__file__).parents[1]
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TABLES = "assessment, known_payee, known_country, recent_payment, inbox, outbox, dead_letter"


class Build:
    """Builds what a test needs; everything has a default but what the test decides."""

    now = NOW
    policy = Policy(
        usd_rates=USD_RATES,
        points=Points(
            amounts=[AmountBand(100_000, 20), AmountBand(500_000, 45), AmountBand(1_000_000, 50)],
            new_payee=40,
            new_country=15,
            velocity=10,
            kyc={"pending": 30, "expired": 20},
        ),
        levels=Levels(40, 70, 95),
        velocity_payments=5,
        velocity_window=timedelta(minutes=10),
    )
    ordinary = History(payee_known=True, country_known=True, recent_payments=0)

    def question(self, transaction_id: str = "tx-1", **fields: Any) -> Question:
        user_id = fields.get("user_id", "usr-1")
        defaults = {
            "payment_id": payment_id_of(user_id, transaction_id),
            "user_id": user_id,
            "transaction_id": transaction_id,
            "amount_minor": 100,
            "currency": "USD",
            "from_account": "acc-1",
            "to_account": "payee-1",
            "country": None,
            "requested_at": NOW,
            "expires_at": NOW + timedelta(minutes=15),
        }
        return Question(**{**defaults, **fields})

    def evidence(self, kyc: str = "verified", *, hit: bool = False) -> Evidence:
        def screening(party: str, *, found: bool) -> Screening:
            return Screening(party=party, hit=found, list_version="list-1", match_score=100 * found)

        return Evidence((screening("debtor", found=False), screening("creditor", found=hit)), kyc)

    def requested(self, transaction_id: str = "tx-1", **fields: Any) -> AssessmentRequested:
        context = {"country": fields.pop("country", None)}
        question = self.question(transaction_id, **fields)
        values = {name: getattr(question, name) for name in Question.__slots__}
        return AssessmentRequested(**values, version=1, context=context)

    def confirmed(self, transaction_id: str = "tx-0", **fields: Any) -> PaymentConfirmed:
        user_id = fields.get("user_id", "usr-1")
        defaults = {
            "payment_id": payment_id_of(user_id, transaction_id),
            "user_id": user_id,
            "transaction_id": transaction_id,
            "version": 2,
            "amount_minor": 100,
            "currency": "USD",
            "from_account": "acc-1",
            "to_account": "payee-1",
            "reference": "7K2M9QX4TD",
            "settlement_method": "ACH",
            "risk_score": 0,
            "confirmed_at": NOW,
            "context": {"country": fields.pop("country", None)},
        }
        return PaymentConfirmed(**{**defaults, **fields})

    def received(self, event: Event, event_id: UUID | None = None) -> Received[Any]:
        cause = Cause(event_id or uuid5(NAMESPACE_OID, event.model_dump_json()))
        return Received(event, cause, NOW, self.record(event, cause.id))

    def record(self, event: Event, event_id: UUID) -> Record:
        headers = headers_of(event, Attributes(event_id, NOW, ()), "confirm")
        value = event.model_dump_json().encode()
        at_ms = int(NOW.timestamp() * 1000)
        return Record(event.topic, 0, 0, at_ms, event.key.encode(), value, headers)


@pytest.fixture(scope="session")
def build() -> Build:
    return Build()


@pytest.fixture
def clock() -> SteadyClock:
    return SteadyClock(NOW)


@pytest.fixture(scope="session")
def migrated(stack: Stack) -> Stack:
    password = stack.credentials.read("database-risk-owner")
    conninfo = f"postgresql://{owner_of('risk')}:{password}@{stack.postgres}/{DATABASE}"
    migrate(conninfo, "risk", [SERVICE / "migrations", SERVICE / "development"])
    return stack


@pytest.fixture
def as_owner(migrated: Stack) -> Iterator[psycopg.Connection]:
    dsn = admin_dsn(migrated.postgres, migrated.credentials)
    with psycopg.connect(dsn, autocommit=True, options="-c search_path=risk") as connection:
        yield connection


@pytest.fixture
async def postgres(
    migrated: Stack, as_owner: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[PostgresDatabase]:
    as_owner.execute(f"truncate {TABLES}".encode())
    for name, value in migrated.environment_of("risk").items():
        monkeypatch.setenv(name, value)
    async with PostgresDatabase(ServiceSettings(), "risk.test") as database:
        yield database


class Backend:
    """One of the two databases with its store and its work table."""

    def __init__(self, database: Any, store: Callable[[Any], Any], table: Any) -> None:
        self.database = database
        self.store = store
        self.table = table


@pytest.fixture
def memory(clock: SteadyClock) -> Backend:
    return Backend(MemoryDatabase(clock), MemoryAssessments, MemoryWorkTable("assessment"))


@pytest.fixture
def real(postgres: PostgresDatabase) -> Backend:
    return Backend(postgres, PostgresAssessments, assessment_table())


@pytest.fixture(params=["memory", pytest.param("real", marks=pytest.mark.stack)])
def backend(request: pytest.FixtureRequest) -> Backend:
    return request.getfixturevalue(request.param)
