"""Fixtures: fraud on real PostgreSQL and Kafka."""

from pathlib import Path

import pytest

from fraud.app import build
from fraud.settings import Settings
from testbed.database import fresh_database
from testbed.service import callers, client_of, running, settings_of

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def database(infrastructure):
    with fresh_database(infrastructure, "fraud", [HERE.parent / "migrations"]) as database:
        yield database


@pytest.fixture
def settings(database, stack, operator_trust, monkeypatch):
    own = {
        "instance": 900,
        "internal_credentials": callers("fraud.score", "check.read"),
        **operator_trust,
    }
    return settings_of(Settings, stack, database, monkeypatch).model_copy(update=own)


@pytest.fixture
async def http(settings):
    async with running(build(settings)) as process, client_of(process) as http:
        yield http
