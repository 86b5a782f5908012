"""Every page opens in a browser that reaches nothing but this machine."""

from html import escape

import httpx
import pytest

from local_stack.inventory import load_inventory
from testkit.browser import rendered

pytestmark = [pytest.mark.observability, pytest.mark.timeout(420)]

SERVICES = load_inventory().services


@pytest.mark.parametrize("name", SERVICES)
def test_the_page_of_an_api_shows_its_operations_without_a_network(observed, name, tmp_path):
    address = f"http://127.0.0.1:{observed.stack.ports.of(name, 0)}"
    operations = httpx.get(f"{address}/openapi.json").raise_for_status().json()["paths"]
    page = rendered(f"{address}/docs", tmp_path / "docs.png")
    if not operations:
        assert "No operations defined" in page
    for path in operations:
        assert f'data-path="{escape(path)}"' in page
