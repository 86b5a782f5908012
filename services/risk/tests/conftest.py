"""Builders of requests, events and evidence; fixtures of the memory and real stores."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

import psycopg
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from local_stack.discovery import RunningStack
from local_stack.stack import Stack
from payment_schemas.currencies import USD_RATES
from payment_schemas.events.base import Event
from payment_schemas.events.confirmation import PaymentConfirmed
from payment_schemas.events.risk import AssessmentRequested, Screening
from payment_schemas.ids import payment_id_of
from risk.domain import AmountBand, AssessmentRequest, Evidence, History, Levels, Points, Policy
from risk.settings import Settings
from risk.store import MemoryAssessments, PostgresAssessments, assessment_table
from service_runtime.messages import Received
from service_runtime.postgres import PostgresDatabase
from testbed.database import Backend, FreshDatabase, fresh_database
from testbed.service import settings_of
from testkit.events import NOON, received
from testkit.memory import MemoryDatabase, MemoryWorkTable, SteadyClock

SERVICE = Path(__file__).parents[1]
NOW = NOON
TABLES = "assessment, known_payee, known_country, recent_payment, consumed, outbox, dead_letter"


class Build:
    """Builds objects for tests; a test names only the fields that it is about."""

    now = NOW
    policy = Policy(
        usd_rates=USD_RATES,
        points=Points(
            amounts=[AmountBand(100_000, 20), AmountBand(500_000, 45), AmountBand(1_000_000, 50)],
            new_payee=40,
            new_country=15,
            velocity=10,
            kyc={"pending": 30, "expired": 20},
            rules={"LOW": 5, "MEDIUM": 15, "HIGH": 30, "CRITICAL": 50},
            fraud={5: 10, 20: 30, 50: 50},
            model_unavailable=20,
        ),
        levels=Levels(40, 70, 95),
        velocity_payments=5,
        velocity_window=timedelta(minutes=10),
    )
    ordinary = History(payee_known=True, country_known=True, recent_payments=0)

    def request(self, transaction_id: str = "tx-1", **fields: Any) -> AssessmentRequest:
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
        return AssessmentRequest(**{**defaults, **fields})

    def evidence(self, kyc: str = "verified", *, hit: bool = False) -> Evidence:
        def screening(party: str, *, found: bool) -> Screening:
            return Screening(party=party, hit=found, list_version="list-1", match_score=100 * found)

        return Evidence((screening("debtor", found=False), screening("creditor", found=hit)), kyc)

    def requested(self, transaction_id: str = "tx-1", **fields: Any) -> AssessmentRequested:
        context = {"country": fields.pop("country", None)}
        request = self.request(transaction_id, **fields)
        values = {name: getattr(request, name) for name in AssessmentRequest.__slots__}
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
        return received(event, event_id or uuid5(NAMESPACE_OID, event.model_dump_json()))


@pytest.fixture(scope="session")
def build() -> Build:
    return Build()


@pytest.fixture
def clock() -> SteadyClock:
    return SteadyClock(NOW)


@pytest.fixture(scope="session")
def risk_database(infrastructure: RunningStack) -> Iterator[FreshDatabase]:
    with fresh_database(infrastructure, "risk", [SERVICE / "migrations"]) as database:
        yield database


@pytest.fixture
def as_owner(risk_database: FreshDatabase) -> Iterator[psycopg.Connection]:
    with psycopg.connect(risk_database.owner_dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
def settings(
    risk_database: FreshDatabase, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    return settings_of(Settings, stack, risk_database, monkeypatch)


@pytest.fixture
async def postgres(
    settings: Settings, as_owner: psycopg.Connection
) -> AsyncIterator[PostgresDatabase]:
    as_owner.execute(f"truncate {TABLES}".encode())
    async with PostgresDatabase(settings, "risk.test") as database:
        yield database


class RemoteService:
    """A remote service: a test sets its response and reads the requests it received."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.response: Callable[[Any], Any] = lambda body: {}
        self.status: Callable[[Any], int] = lambda body: 200
        self.slow_s = 0.0
        self.url = ""

    async def serve(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.requests.append(body)
        await asyncio.sleep(self.slow_s)
        return web.json_response(self.response(body), status=self.status(body))


@pytest.fixture
async def remote() -> AsyncIterator[RemoteService]:
    remote = RemoteService()
    app = web.Application()
    app.router.add_post("/screenings:batch", remote.serve)
    app.router.add_post("/customers:batch", remote.serve)
    app.router.add_post("/checks:batch", remote.serve)
    app.router.add_post("/names:batch", remote.serve)
    app.router.add_post("/scores:batch", remote.serve)
    async with TestServer(app) as server:
        remote.url = str(server.make_url("/"))
        yield remote


@pytest.fixture
def memory(clock: SteadyClock) -> Backend:
    return Backend(MemoryDatabase(clock), MemoryAssessments, MemoryWorkTable("assessment"))


@pytest.fixture
def real(postgres: PostgresDatabase) -> Backend:
    return Backend(postgres, PostgresAssessments, assessment_table())


@pytest.fixture(params=["memory", pytest.param("real", marks=pytest.mark.stack)])
def backend(request: pytest.FixtureRequest) -> Backend:
    return request.getfixturevalue(request.param)
