"""Fixtures of the gateway's tests."""

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
