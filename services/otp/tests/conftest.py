"""Builders with defaults, the service on the memory twins, and the real store."""

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid4

import psycopg
import pytest

from local_stack.discovery import RunningStack
from local_stack.stack import Stack
from otp.clients import LookUp, MemoryContacts
from otp.domain import Challenge, Limits, Payment, SecretHash
from otp.handlers import (
    Codes,
    Rules,
    Unlocking,
    on_challenge_requested,
    on_verification_requested,
)
from otp.settings import Settings
from otp.store import MemoryChallenges, PostgresChallenges
from payment_schemas.events.base import Event
from payment_schemas.events.otp import (
    Challenged,
    ChallengeRefused,
    ChallengeRequested,
    VerificationRequested,
    Verified,
)
from payment_schemas.ids import payment_id_of
from service_runtime.consumer import Consumer, Handler
from service_runtime.keys import KeyRing
from service_runtime.positions import Positions
from service_runtime.postgres import PostgresDatabase
from service_runtime.relay import Relay
from service_runtime.sealing import Sealer
from service_runtime.unit_of_work import UnitOfWork
from testbed.database import Backend, FreshDatabase, fresh_database
from testbed.service import settings_of
from testkit.events import NOON, event_of, outgoing_of
from testkit.memory import MemoryBroker, MemoryDatabase, MemorySource, SteadyClock

E = TypeVar("E", bound=Event)
SERVICE = Path(__file__).parents[1]
GATEWAY, NOTIFICATION = Sealer(b"g" * 32), Sealer(b"n" * 32)
CODE_KEYS = KeyRing(b"c" * 32)


class Build:
    """Builders; a test sets only the fields that matter."""

    now = NOON
    gateway, notification, code_keys = GATEWAY, NOTIFICATION, CODE_KEYS

    def payment(self, transaction_id: str = "tx-1", **fields: Any) -> Payment:
        defaults = {
            "payment_id": payment_id_of("usr-1", transaction_id),
            "user_id": "usr-1",
            "amount_minor": 520_000,
            "currency": "USD",
            "payee": "payee-xyz",
        }
        return Payment(**{**defaults, **fields})

    def challenge(self, transaction_id: str = "tx-1", number: int = 1, **fields: Any) -> Challenge:
        secret = SecretHash("0" * 32, "f" * 64)
        issued_at = fields.pop("issued_at", NOON)
        expires_at = fields.pop("expires_at", issued_at + timedelta(seconds=300))
        user = {"user_id": fields.pop("user_id")} if "user_id" in fields else {}
        payment = self.payment(transaction_id, **user)
        return Challenge(payment, number, secret, issued_at, expires_at, **fields)

    def requested(
        self, transaction_id: str = "tx-1", number: int = 1, user_id: str = "usr-1", **fields: Any
    ) -> ChallengeRequested:
        payment_id = payment_id_of(user_id, transaction_id)
        names = {"user_id": user_id, "transaction_id": transaction_id, "payment_id": payment_id}
        return event_of(ChallengeRequested, **names, challenge_number=number, **fields)

    def tried(self, code: str, challenge: Challenged, **fields: Any) -> VerificationRequested:
        payment_id = fields.get("payment_id", challenge.payment_id)
        defaults = {
            "payment_id": payment_id,
            "user_id": challenge.user_id,
            "transaction_id": challenge.transaction_id,
            "challenge_id": challenge.challenge_id,
            "request_id": uuid4(),
            "sealed_code": GATEWAY.seal(code, payment_id).reveal(),
        }
        return event_of(VerificationRequested, **{**defaults, **fields})

    def code_of(self, challenge: Challenged) -> str:
        return NOTIFICATION.open(challenge.sealed_code, challenge.payment_id).reveal()

    def wrong_code_of(self, challenge: Challenged) -> str:
        return f"{(int(self.code_of(challenge)) + 1) % 10**6:06}"

    def handlers(
        self,
        clock: Any,
        store: Callable[[Any], Any],
        contacts: MemoryContacts | None = None,
        limits: Limits | None = None,
    ) -> list[Handler]:
        codes, rules = Codes(CODE_KEYS, clock), Rules(timedelta(seconds=300), 5, limits or Limits())
        issue = partial(on_challenge_requested, notification=NOTIFICATION)
        verify = partial(on_verification_requested, gateway=GATEWAY)
        look_up = LookUp(contacts or MemoryContacts())
        return [
            Handler(
                ChallengeRequested,
                partial(issue, codes=codes, rules=rules),
                store,
                look_up,
                inbox=True,
            ),
            Handler(VerificationRequested, partial(verify, codes=codes, rules=rules), store),
        ]


class Otp:
    """The service on the memory twins, in the real consumer loop."""

    def __init__(self, build: Build, clock: SteadyClock) -> None:
        self.clock = clock
        self.contacts = MemoryContacts()
        self.database = MemoryDatabase(clock)
        self.broker = MemoryBroker(clock)
        self.unit = UnitOfWork(self.database, Relay(self.database, self.broker), "otp", clock)
        self.build = build
        self.source = MemorySource(
            self.broker,
            [ChallengeRequested.topic, VerificationRequested.topic],
            Positions(self.database, "otp"),
        )
        self.start()

    def start(self) -> None:
        """Start or restart the process; only tables and topics survive a restart."""
        handlers = self.build.handlers(self.clock, MemoryChallenges, self.contacts)
        self.consumer = Consumer("otp", self.source, self.unit, handlers, self.clock)

    async def read(self, *events: Event, ids: tuple[UUID, ...] = ()) -> None:
        """Handle events that arrive together."""
        for number, event in enumerate(events):
            await self.broker.send(outgoing_of(event, ids[number] if ids else uuid4()))
        await self.source.drain(self.consumer.run)

    async def challenged(self, request: ChallengeRequested) -> Challenged:
        """Request a challenge and return it."""
        await self.read(request)
        return self.challenges[-1]

    async def verdicts(self, *events: VerificationRequested) -> list[tuple[str, bool]]:
        """Try codes that arrive together; return each result and whether its challenge is over."""
        before = len(self.verified)
        await self.read(*events)
        return [(one.result, one.challenge_over) for one in self.verified[before:]]

    async def unlock(self, user_id: str = "usr-1", actor: str = "ann"):
        """Unlock a user, as an operator."""
        return await Unlocking(MemoryChallenges, self.unit.run_in_transaction, self.clock).unlock(
            user_id, actor
        )

    def published(self, event: type[E]) -> list[E]:
        """Return the published events of a type."""
        topic = self.broker.topics[event.topic]
        return [event.model_validate_json(record.value or b"") for record in topic]

    @property
    def challenges(self) -> list[Challenged]:
        return self.published(Challenged)

    @property
    def refusals(self) -> list[tuple[str, int | None]]:
        """The reason and the time to wait of each refusal."""
        return [(one.reason, one.retry_after_s) for one in self.published(ChallengeRefused)]

    @property
    def verified(self) -> list[Verified]:
        return self.published(Verified)


@pytest.fixture(scope="session")
def build() -> Build:
    return Build()


@pytest.fixture
def clock() -> SteadyClock:
    return SteadyClock(NOON)


@pytest.fixture
def otp(build: Build, clock: SteadyClock) -> Otp:
    return Otp(build, clock)


@pytest.fixture(scope="session")
def otp_database(infrastructure: RunningStack) -> Iterator[FreshDatabase]:
    with fresh_database(infrastructure, "otp", [SERVICE / "migrations"]) as database:
        yield database


@pytest.fixture
def as_owner(otp_database: FreshDatabase) -> Iterator[psycopg.Connection]:
    with psycopg.connect(otp_database.owner_dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
def settings(
    otp_database: FreshDatabase, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    return settings_of(Settings, stack, otp_database, monkeypatch)


@pytest.fixture
async def postgres(
    settings: Settings, as_owner: psycopg.Connection
) -> AsyncIterator[PostgresDatabase]:
    as_owner.execute(
        "truncate challenge, verification, code_user, challenge_refusal, consumed, inbox, outbox,"
        " dead_letter"
    )
    async with PostgresDatabase(settings, "otp.test") as database:
        yield database


@pytest.fixture
def memory(clock: SteadyClock) -> Backend:
    return Backend(MemoryDatabase(clock), MemoryChallenges)


@pytest.fixture
def real(postgres: PostgresDatabase) -> Backend:
    return Backend(postgres, PostgresChallenges)


@pytest.fixture(params=["memory", pytest.param("real", marks=pytest.mark.stack)])
def backend(request: pytest.FixtureRequest) -> Backend:
    return request.getfixturevalue(request.param)
