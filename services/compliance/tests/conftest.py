"""Fixtures: compliance on real PostgreSQL and Kafka."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from compliance.app import build  # noqa: E402 - what tests share is beside this file
from compliance.settings import Settings  # noqa: E402
from testbed.database import fresh_database  # noqa: E402
from testbed.service import callers, client_of, running, settings_of  # noqa: E402


@pytest.fixture(scope="module")
def database(infrastructure):
    with fresh_database(infrastructure, "compliance", [HERE.parent / "migrations"]) as database:
        yield database


@pytest.fixture
def settings(database, stack, operator_trust, monkeypatch):
    own = {
        "instance": 900,
        "internal_credentials": callers("compliance.check", "check.read"),
        **operator_trust,
    }
    return settings_of(Settings, stack, database, monkeypatch).model_copy(update=own)


@pytest.fixture
async def http(settings):
    async with running(build(settings)) as process, client_of(process) as http:
        yield http
