"""Fixtures of the gateway's tests."""

import base64
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

# gateway_edge is beside this file and in no package, so the path comes first.
from gateway_edge import Edge  # noqa: E402
from live_edge import served  # noqa: E402


@pytest.fixture
async def make_edge():
    """Return a factory of edges, whose clients are closed at the end."""
    made = []

    def make(**settings):
        made.append(Edge(**settings))
        return made[-1]

    yield make
    for one in made:
        await one.http.aclose()


@pytest.fixture
def edge(make_edge):
    return make_edge()


@pytest.fixture
async def live(edge):
    """The edge on a port, with streams."""
    async with served(edge) as made:
        yield made


@pytest.fixture
def environment(monkeypatch, tmp_path):
    """Set what is required; return a function that sets more."""
    key = tmp_path / "key"
    key.write_text(base64.b64encode(bytes(32)).decode())
    needed = {
        "PROFILE": "dev",
        "KAFKA_BOOTSTRAP_SERVERS": "localhost:9092",
        "REDIS_URL": "redis://localhost",
        "CONFIRM_URLS": "http://one:3010, http://two:4010",
        "SETTLEMENT_URL": "http://settlement:3013",
        "JWKS_URL": "http://issuer/keys",
        "TOKEN_ISSUER": "https://issuer.test",
        "TOKEN_AUDIENCE": "countersign",
        "OTP_SEALING_KEY_FILE": str(key),
        "SCREENING_SEALING_KEY_FILE": str(key),
        "MAC_GATEWAY_CONFIRM_FILE": str(key),
        "CODE_TAG_KEY_FILE": str(key),
        "INTERNAL_CREDENTIAL_FILE": str(key),
    }
    for name, value in needed.items():
        monkeypatch.setenv(name, value)

    def more(**values):
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return more
