"""Fixtures: the invented list, searched in this process, and the service on real servers."""

import base64
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from screening.app import build  # noqa: E402
from screening.clients import ListFolder  # noqa: E402
from screening.domain.matching import Screener  # noqa: E402
from screening.settings import DEMONSTRATION, Settings  # noqa: E402
from service_runtime.keys import KeyRing  # noqa: E402
from testbed.database import fresh_database  # noqa: E402
from testbed.service import callers, client_of, running, settings_of  # noqa: E402

KEY = base64.b64encode(b"k" * 32).decode()


@pytest.fixture(scope="session")
def screener():
    return Screener(ListFolder(DEMONSTRATION).read())


@pytest.fixture(scope="module")
def database(infrastructure):
    folders = [HERE.parent / "migrations"]
    with fresh_database(infrastructure, "screening", folders) as database:
        yield database


@pytest.fixture
def settings(database, stack, operator_trust, monkeypatch, tmp_path):
    (tmp_path / "sealing.key").write_text(f"{KEY}\n")
    own = {
        "instance": 900,
        "internal_credentials": callers("screenings.query", "check.read"),
        "sealing_keys": KeyRing.of_file(str(tmp_path / "sealing.key")),
        **operator_trust,
    }
    return settings_of(Settings, stack, database, monkeypatch).model_copy(update=own)


@pytest.fixture
async def http(settings):
    async with running(build(settings)) as process, client_of(process) as client:
        yield client
