"""Fixtures: compliance on real PostgreSQL and Kafka."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from kyc_world import Mock, free_port, world_of  # noqa: E402 - what tests share is beside this file

import compliance.app as wiring  # noqa: E402
from compliance.app import build  # noqa: E402
from compliance.settings import Settings  # noqa: E402
from testbed.database import fresh_database  # noqa: E402
from testbed.service import callers, client_of, running, settings_of  # noqa: E402
from testkit.tokens import AUDIENCE, ISSUER  # noqa: E402


@pytest.fixture(scope="module")
def database(infrastructure):
    with fresh_database(infrastructure, "compliance", [HERE.parent / "migrations"]) as database:
        yield database


def stored_in(folder):
    return {
        "object_folder": str(folder / "documents"),
        "subject_key_folder": str(folder / "keys"),
    }


@pytest.fixture
def settings(database, stack, operator_trust, monkeypatch, tmp_path):
    own = {
        "instance": 900,
        "internal_credentials": callers("compliance.check", "check.read"),
        "page_workers": 0,
        **stored_in(tmp_path),
        **operator_trust,
    }
    return settings_of(Settings, stack, database, monkeypatch).model_copy(update=own)


@pytest.fixture
async def http(settings):
    async with running(build(settings)) as process, client_of(process) as http:
        yield http


@pytest.fixture(scope="module")
def kyc_database(infrastructure):
    with fresh_database(infrastructure, "compliance", [HERE.parent / "migrations"]) as database:
        yield database


@pytest.fixture(scope="module")
def port():
    return free_port()


@pytest.fixture(scope="module")
def provider(stack, port):
    mock = Mock(stack.environment_of("onfido"), f"http://127.0.0.1:{port}/api/v1/kyc/provider")
    yield mock
    mock.kill()


@pytest.fixture(scope="module")
def kyc_settings(kyc_database, stack, operator_trust, provider, tmp_path_factory):
    own = {
        "instance": 901,
        "internal_credentials": callers("compliance.check", "check.read"),
        **stored_in(tmp_path_factory.mktemp("kyc")),
        **operator_trust,
        "jwks_url": operator_trust["operator_jwks_url"],
        "token_issuer": ISSUER,
        "token_audience": AUDIENCE,
        "second_token_issuer": "",
        "kyc_provider_url": f"{provider.url}/v3.6",
        "kyc_provider_timeout_s": 2.0,
        "kyc_poll_first_s": 0.2,
        "kyc_poll_most_s": 1.0,
        "kyc_per_minute": 10_000,
        "reads_per_minute": 100_000,
    }
    with pytest.MonkeyPatch.context() as patch:
        found = settings_of(Settings, stack, kyc_database, patch)
    return found.model_copy(update=own)


# Ended with its module: of two processes of one group each would read a part of the records.
@pytest.fixture(scope="module")
async def world(kyc_settings, stack, port):
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DESTROY_EVERY_S", "LOOK_AFTER_KEYS_S", "EXPIRE_EVERY_S"):
            patch.setattr(wiring, name, 0.3)
        async with world_of(kyc_settings, port) as found:
            found.brokers = stack.brokers
            yield found


@pytest.fixture
def faults(provider):
    yield provider
    provider.heal()
