"""What the gateway's tests share."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

# The edge lies beside this file, not in a package: the path must be known first.
from gateway_edge import Edge  # noqa: E402


@pytest.fixture
async def make_edge():
    """Build edges whose clients are closed at the end."""
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
