"""Fixtures of charges' tests."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

# charges_world is beside this file and in no package, so the path comes first.
from aiohttp import web  # noqa: E402
from aiohttp.test_utils import TestServer  # noqa: E402
from charges_world import Mock, free_port, world_of  # noqa: E402

from charges.settings import Settings  # noqa: E402
from testbed.database import fresh_database  # noqa: E402
from testbed.service import settings_of  # noqa: E402
from testkit.tokens import AUDIENCE, ISSUER, KEYS  # noqa: E402

PROVIDERS = ("stripe", "adyen")


@pytest.fixture(scope="session")
def charges_database(infrastructure):
    with fresh_database(infrastructure, "charges", [HERE.parent / "migrations"]) as database:
        yield database


@pytest.fixture(scope="session")
def port():
    return free_port()


@pytest.fixture(scope="session")
def started_mocks(stack, port):
    started = {}
    try:
        for name in PROVIDERS:
            url = f"http://127.0.0.1:{port}/api/v1/providers/{name}"
            started[name] = Mock(name, stack.environment_of(name), url)
        yield started
    finally:
        for mock in started.values():
            mock.kill()


@pytest.fixture
def mocks(started_mocks):
    yield started_mocks
    for mock in started_mocks.values():
        mock.heal()


@pytest.fixture
async def issuer():
    """Serve the keys of the tests' tokens; yield the settings that trust them."""

    async def keys(_request):
        return web.json_response({"keys": KEYS})

    app = web.Application()
    app.router.add_get("/keys", keys)
    async with TestServer(app) as server:
        url = str(server.make_url("/keys"))
        yield {"jwks_url": url, "token_issuer": ISSUER, "token_audience": AUDIENCE}


@pytest.fixture
def trusted(operator_trust, issuer):
    return {**operator_trust, **issuer}


@pytest.fixture
def settings(charges_database, stack, trusted, mocks, monkeypatch):
    own = {
        **trusted,
        **{f"{name}_url": mock.url for name, mock in mocks.items()},
        "provider_timeout_s": 1.0,
        "provider_open_s": 1.0,
        "charge_enquiry_first_s": 0.1,
        "charge_enquiry_most_s": 0.5,
        "charge_in_flight_s": 2.0,
        "charges_per_minute": 10_000,
        "reads_per_minute": 100_000,
    }
    return settings_of(Settings, stack, charges_database, monkeypatch).model_copy(update=own)


@pytest.fixture
async def world(settings, port, mocks):
    async with world_of(settings, port, mocks) as found:
        yield found


@pytest.fixture
async def hurried(settings, port, mocks):
    """A world whose calls and requests do not wait for long."""
    short = {"provider_timeout_s": 0.4, "charge_answer_within_s": 0.5, "provider_open_s": 0.3}
    async with world_of(settings.model_copy(update=short), port, mocks) as found:
        yield found
