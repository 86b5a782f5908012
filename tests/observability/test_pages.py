"""Every page opens in a browser without a network."""

from html import escape

import httpx
import pytest
from traffic import GROUPS

from local_stack.inventory import load_inventory
from testkit.browser import rendered

pytestmark = [pytest.mark.observability, pytest.mark.timeout(420)]

SERVICES = [one.name for one in load_inventory().of_groups(GROUPS)]


@pytest.mark.parametrize("name", SERVICES)
def test_the_page_of_an_api_shows_its_operations_without_a_network(observed, name, tmp_path):
    address = f"http://127.0.0.1:{observed.stack.ports.of(name, 0)}"
    operations = httpx.get(f"{address}/openapi.json").raise_for_status().json()["paths"]
    page = rendered(f"{address}/docs", tmp_path / "docs.png")
    if not operations:
        assert "No operations defined" in page
    for path in operations:
        assert f'data-path="{escape(path)}"' in page


async def test_the_pages_of_make_observe_open_without_a_network(observed, edge, name, tmp_path):
    (customer,) = await edge.open_customers(name, 1, 50_000_00)
    await edge.pay(customer, name, amount="5200.00", to_account="payee-xyz")
    # A wrong code writes a log line of otp.
    answer = await edge.pay(
        customer, name, amount="5200.00", to_account="payee-xyz", otp_code="000000"
    )
    trace_id = answer.headers["X-Trace-Id"]
    (line, *_) = await observed.seen(lambda: observed.lines_of(trace_id))
    # The gateway's span ends last, and is exported after otp's line.
    await observed.seen(lambda: "gateway" in str(observed.trace(trace_id).get("processes")))
    pages = {
        "dashboards": observed.addresses["dashboards"],
        "traces": line["trace_url"],
        "logs": observed.addresses["logs"].replace("query=*", f"query=trace_id:{trace_id}"),
    }

    shown = {what: rendered(url, tmp_path / f"{what}.png") for what, url in pages.items()}

    assert "Transactions a minute" in shown["dashboards"]
    assert "gateway" in shown["traces"]
    assert f"/zipkin/traces/{trace_id}" in shown["logs"]
