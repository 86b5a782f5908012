"""`/docs` serves all its assets. A browser opens it in tests/observability/test_pages.py."""

import re
from urllib.parse import urljoin

import httpx
import pytest

from service_runtime.web import create_app
from testkit.events import NOON
from testkit.memory import SteadyClock

BASE = "http://probe"
ADDRESS = re.compile(r"""(?:src|href|url)\s*[=:]\s*["']([^"']+)["']""")


@pytest.fixture
async def client():
    app = create_app("probe", {}, SteadyClock(NOON))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE) as client:
        yield client


async def test_the_page_and_all_that_it_loads_come_from_the_service_itself(client):
    page = await client.get("/docs")
    loaded = ADDRESS.findall(page.text) + ADDRESS.findall((await client.get("/docs/start.js")).text)
    assert len(loaded) == 5
    for address in loaded:
        whole = urljoin(f"{BASE}/docs", address)
        assert whole.startswith((f"{BASE}/", "data:"))
        if not whole.startswith("data:"):
            answer = await client.get(whole)
            assert answer.status_code == 200
            assert answer.content


async def test_a_browser_runs_no_script_but_those_of_the_service(client):
    policy = (await client.get("/docs")).headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


@pytest.mark.parametrize("path", ["/redoc", "/docs/oauth2-redirect"])
async def test_no_page_that_needs_another_network_is_served(client, path):
    assert (await client.get(path)).status_code == 404
