"""Fixtures of webhooks' tests."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

# webhooks_world is beside this file and in no package, so the path comes first.
from testbed.hostile import HostileServer  # noqa: E402


@pytest.fixture
async def hostile():
    async with HostileServer() as server:
        yield server


from webhooks_world import issuer, world_of  # noqa: E402

from testbed.database import fresh_database  # noqa: E402
from testbed.service import settings_of  # noqa: E402
from webhooks.settings import Settings  # noqa: E402


@pytest.fixture(scope="session")
def webhooks_database(infrastructure):
    with fresh_database(infrastructure, "webhooks", [HERE.parent / "migrations"]) as database:
        yield database


@pytest.fixture
async def settings(webhooks_database, stack, operator_trust, monkeypatch):
    async with issuer() as trusted:
        own = {
            **operator_trust,
            **trusted,
            "webhook_local_targets": True,
            "webhook_timeout_s": 2.0,
            "rate_limit_per_minute": 1000,
            "reads_per_minute": 10_000,
        }
        made = settings_of(Settings, stack, webhooks_database, monkeypatch)
        yield made.model_copy(update=own)


@pytest.fixture
async def world(settings, stack):
    async with world_of(settings, stack.brokers) as found:
        yield found
