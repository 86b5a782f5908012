"""Fixtures: insight on real PostgreSQL, Kafka and Redis, and the model's stand-in as a process."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

# insight_world is beside this file and in no package, so the path comes first.
from aiohttp import web  # noqa: E402
from aiohttp.test_utils import TestServer  # noqa: E402
from chat_world import PAYMENTS, RISKS, is_known  # noqa: E402
from insight_world import KEY, until  # noqa: E402

from insight.app import build  # noqa: E402
from insight.settings import Settings  # noqa: E402
from service_runtime.postgres import PostgresDatabase  # noqa: E402
from testbed.database import fresh_database  # noqa: E402
from testbed.mock_process import MockProcess  # noqa: E402
from testbed.service import callers, client_of, publish, running, settings_of  # noqa: E402
from testkit.tokens import AUDIENCE, ISSUER, KEYS  # noqa: E402


@pytest.fixture(scope="session")
def key_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "key"
    path.write_text(KEY)
    return path


@pytest.fixture(scope="session")
def stand_in(key_file):
    own = {"MODEL_API_KEY_FILE": str(key_file), "FAULT_SLOW_S": "0.3", "FAULT_HOLD_S": "20"}
    started = MockProcess("model", own)
    yield started
    started.kill()


@pytest.fixture
def mock(stand_in):
    yield stand_in
    stand_in.heal()


@pytest.fixture(scope="session")
def insight_database(infrastructure):
    folders = [HERE.parent / "migrations"]
    with fresh_database(infrastructure, "insight", folders, reader=True) as database:
        yield database


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
def settings(insight_database, stack, operator_trust, issuer, monkeypatch):
    own = {
        "instance": 900,
        "internal_credentials": callers("check.read"),
        "documents_folder": HERE.parents[2] / "docs",
        "questions_per_minute": 100_000,
        "reads_per_minute": 100_000,
        **operator_trust,
        **issuer,
    }
    return settings_of(Settings, stack, insight_database, monkeypatch).model_copy(update=own)


@pytest.fixture
def modelled(settings, mock, key_file):
    """The settings with the stand-in as the model."""
    from service_runtime.keys import SecretFile  # noqa: PLC0415 - of this fixture alone

    own = {
        "model_url": f"{mock.url}/v1",
        "model_api_key": SecretFile(key_file, str),
        "model_deadline_s": 3.0,
        "model_try_s": 0.6,
    }
    return settings.model_copy(update=own)


@pytest.fixture
async def http(settings):
    async with running(build(settings)) as process, client_of(process) as http:
        yield http


@pytest.fixture
async def chat(settings, stack):
    """A chat that knows two users' payments."""
    async with running(build(settings)) as process, client_of(process) as http:
        await publish(stack.brokers, settings, *PAYMENTS, *RISKS)
        await until(lambda: is_known(http))
        yield http


@pytest.fixture
async def database(settings):
    async with PostgresDatabase(settings, "insight.901") as opened:
        yield opened
