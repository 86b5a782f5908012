"""Settlement and a bank on Kafka as processes, both killed: each transfer is booked once."""

import asyncio
import base64
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import httpx
import psycopg
import pytest
from settlement_builders import OUR_KEYS, kafka_partner, requested

from payment_schemas.ids import Uetr
from settlement.settings import Settings
from settlement.store import PostgresPartners
from testbed.database import fresh_database
from testbed.probe_process import make_topics
from testbed.service import database_of, kafka_fields, publish, settings_of

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]
HERE = Path(__file__).parent
PAYMENTS = 40
WITHIN_S = 60


@pytest.fixture(scope="module")
def fresh_settlement(infrastructure):
    with fresh_database(infrastructure, "settlement", [HERE.parent / "migrations"]) as database:
        yield database


class Processes:
    """Settlement and the bank, started and killed by the test."""

    def __init__(self, environments, partner, book):
        self.environments, self.partner, self.book = environments, partner, str(book)
        self.running = {}
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = str(free.getsockname()[1])

    def start(self, name):
        command = {
            "settlement": ["-m", "settlement"],
            "bank": [str(HERE / "scripted_bank.py"), self.partner, self.book],
        }[name]
        with (Path(self.book).parent / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(  # noqa: S603 - our own code
                [sys.executable, *command],
                env=os.environ | self.environments[name] | {"PORT": self.port},
                stdout=log,
                stderr=log,
            )

    async def ready(self):
        url = f"http://127.0.0.1:{self.port}/ready"
        async with asyncio.timeout(WITHIN_S), httpx.AsyncClient() as http:
            while True:
                try:
                    if (await http.get(url)).is_success:
                        return
                except httpx.HTTPError:
                    pass
                await asyncio.sleep(0.1)

    def kill(self, name):
        process = self.running.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait(10)


@pytest.fixture
def processes(infrastructure, stack, fresh_settlement, tmp_path):
    (tmp_path / "signing").write_text(base64.b64encode(OUR_KEYS.current.material).decode())
    settlement = stack.environment_of("settlement") | {
        "DATABASE_URL": fresh_settlement.dsn,
        "PARTNER_SIGNING_KEYS_FILE": str(tmp_path / "signing"),
    }
    # The test's own bank has no login: it is the administrator.
    bank = {name.upper(): value for name, value in kafka_fields(infrastructure).items()}
    found = Processes(
        {"settlement": settlement, "bank": bank},
        f"bank-{uuid4().hex[:8]}",
        tmp_path / "book.sqlite3",
    )
    yield found
    for name in list(found.running):
        found.kill(name)


@pytest.fixture
def settings(stack, fresh_settlement, monkeypatch):
    return settings_of(Settings, stack, fresh_settlement, monkeypatch)


def statuses(database):
    with psycopg.connect(database.owner_dsn) as connection:
        query = "select status, count(*) from instruction group by status"
        return dict(connection.execute(query).fetchall())


def rows(database, query):
    with psycopg.connect(database.owner_dsn) as connection:
        return connection.execute(query).fetchall()


async def until_settled(database, count):
    deadline = time.monotonic() + WITHIN_S
    while statuses(database).get("SETTLED", 0) < count:
        assert time.monotonic() < deadline, statuses(database)
        await asyncio.sleep(0.1)


# Ten seconds: two processes start twice each, and a topic that is new is looked for every 5 s.
async def test_transfers_of_a_killed_settlement_and_a_killed_bank_are_booked_once_and_settled(
    processes, infrastructure, fresh_settlement, settings, tmp_path
):
    processes.start("settlement")
    await processes.ready()
    profile = kafka_partner(processes.partner, account_prefixes=("scripted-",), enquire_after_s=60)
    topics = [profile.instructions_topic, profile.reports_topic, f"{profile.reports_topic}-dlq"]
    await make_topics(infrastructure.brokers, *topics)
    async with (
        database_of(fresh_settlement.dsn, tmp_path) as database,
        database.transaction() as tx,
    ):
        await PostgresPartners(tx).add(profile)
    payments = [
        requested(number, f"scripted-{number}", uetr=Uetr(uuid4())) for number in range(PAYMENTS)
    ]
    await publish(infrastructure.brokers, settings, *payments[: PAYMENTS // 2])
    processes.start("bank")
    await until_settled(fresh_settlement, 3)
    processes.kill("bank")
    processes.kill("settlement")
    await publish(infrastructure.brokers, settings, *payments[PAYMENTS // 2 :])
    processes.start("bank")
    processes.start("settlement")
    await until_settled(fresh_settlement, PAYMENTS)

    with closing(sqlite3.connect(processes.book)) as book:
        booked = book.execute("select uetr from booking").fetchall()
    assert sorted(uetr for (uetr,) in booked) == sorted(str(one.uetr) for one in payments)
    assert statuses(fresh_settlement) == {"SETTLED": PAYMENTS}
    assert rows(fresh_settlement, "select * from reconciliation_case") == []
    reasons = rows(fresh_settlement, "select distinct reason from dead_letter")
    assert set(reasons) <= {("signature_forged",)}
