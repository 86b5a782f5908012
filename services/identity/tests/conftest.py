"""Fixtures: identity on real PostgreSQL, Kafka and Redis."""

import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from identity_world import World  # noqa: E402 - a module beside this file, in no package

from identity.app import build  # noqa: E402
from identity.settings import Settings  # noqa: E402
from service_runtime.clock import SystemClock  # noqa: E402
from testbed.database import fresh_database  # noqa: E402
from testbed.service import client_of, running, settings_of  # noqa: E402


class LateClock(SystemClock):
    """The system's clock, which a test moves on."""

    def __init__(self):
        self.ahead = timedelta()

    def now(self) -> datetime:
        return super().now() + self.ahead


@pytest.fixture(scope="module")
def database(infrastructure):
    with fresh_database(infrastructure, "identity", [HERE.parent / "migrations"]) as database:
        yield database


@pytest.fixture(scope="module")
def module_patch():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def settings(database, stack, operator_trust, module_patch):
    found = settings_of(Settings, stack, database, module_patch)
    return found.model_copy(
        update={
            **operator_trust,
            "registrations_per_address": 10_000,
            "logins_per_address": 10_000,
            "logins_per_account": 6,
            "sessions_per_user": 3,
        }
    )


@pytest.fixture
async def world(settings, database):
    clock = LateClock()
    async with running(build(settings, clock)) as process, client_of(process) as http:
        del http.headers["Authorization"]
        yield World(http, clock, database, settings)
