"""The schemas that messages are compared with: those of CONFORMANCE_DATA, or the package's own."""

import os
from importlib import resources
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def schemas() -> Path:
    data = os.environ.get("CONFORMANCE_DATA")
    if not data:
        return Path(str(resources.files("partner_messages.iso20022") / "schemas"))
    folder = Path(data) / "iso20022"
    assert folder.is_dir(), f"{folder} is no folder: make conformance DATA=<folder>"
    return folder
