"""What is compared with: the files of CONFORMANCE_DATA; without it, the package's own schemas."""

import os
from importlib import resources
from pathlib import Path

import pytest

# OFAC's list and FinCEN's schemas are not in this project: only `make conformance DATA=…` has them.
WITH_DATA = ["test_screening.py", "test_fincen.py"]
collect_ignore = [] if os.environ.get("CONFORMANCE_DATA") else WITH_DATA


@pytest.fixture(scope="session")
def schemas() -> Path:
    data = os.environ.get("CONFORMANCE_DATA")
    if not data:
        return Path(str(resources.files("partner_messages.iso20022") / "schemas"))
    folder = Path(data) / "iso20022"
    assert folder.is_dir(), f"{folder} is no folder: make conformance DATA=<folder>"
    return folder
