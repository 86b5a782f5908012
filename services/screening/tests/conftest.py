"""Fixtures: the invented list, searched in this process, and the service over HTTP."""

import base64

import pytest

from screening.app import build
from screening.clients import ListFolder
from screening.domain.matching import Screener
from screening.settings import DEMONSTRATION, Settings
from testbed.service import callers, client_of, running

KEY = base64.b64encode(b"k" * 32).decode()


@pytest.fixture(scope="session")
def screener():
    return Screener(ListFolder(DEMONSTRATION).read())


@pytest.fixture
def settings(tmp_path):
    """Build the settings of a service; fields may be given."""

    def made(**fields):
        (tmp_path / "callers.json").write_text(callers("screenings.query"))
        key = tmp_path / "sealing.key"
        key.write_text(f"{KEY}\n")
        return Settings(
            SCREENING_SEALING_KEY_FILE=str(key),
            INTERNAL_CREDENTIALS_FILE=str(tmp_path / "callers.json"),
            **{"profile": "dev"} | fields,
        )

    return made


@pytest.fixture
async def http(settings, operator_trust):
    found = settings().model_copy(update=operator_trust)
    async with running(build(found)) as process, client_of(process) as client:
        yield client
