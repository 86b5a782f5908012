"""The console in a real browser, with a real Jaeger and Prometheus: trace, alert, runbook."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from testbed.desk import Desk
from testkit.chromium import chromium

pytestmark = [pytest.mark.observability, pytest.mark.timeout(420)]
LEAST_SPANS = 15
SERVICES = {"gateway", "confirm", "risk", "settlement", "partner_bank", "notification"}
"""Those that a payment without a code passes through."""
DOWN = "otp"
"""A service that neither the page Now nor a runbook asks."""


@pytest.fixture(scope="module")
async def desk(observed) -> AsyncIterator[Desk]:
    """A browser in which alice has signed in to the console."""
    url = observed.stack.description().url("ops").replace("127.0.0.1", "localhost")
    async with chromium() as browser, browser.tab() as page:
        await page.look(width=1280, height=900)
        desk = Desk(page, url)
        await desk.sign_in("alice")
        yield desk
        assert page.faults + page.errors == []


def services_in(trace: dict[str, Any]) -> set[str]:
    """Return the services that a trace of Jaeger has spans of."""
    return {one["serviceName"] for one in trace.get("processes", {}).values()}


async def test_a_payments_trace_is_a_waterfall(observed, edge, desk, name):
    (customer,) = await edge.open_customers(name, 1, 50_000_00)
    answer = await edge.pay(customer, name, amount="12.50", to_account="payee-xyz")
    trace_id = answer.headers["X-Trace-Id"]
    await observed.seen(lambda: services_in(observed.trace(trace_id)) >= SERVICES)

    await desk.open(f"/payments/{name}")
    await desk.unfold()

    shown = await desk.page.evaluate("document.querySelector('#trace').innerText")
    assert "ms from the first to the last of" in shown
    for service in SERVICES:
        assert f"\n{service} " in shown, shown
    bars = "[...document.querySelectorAll('#trace rect')].map((one) => one.width.baseVal.value)"
    widths = await desk.page.evaluate(bars)
    assert len(widths) >= LEAST_SPANS
    assert min(widths) > 0
    assert await desk.faults() == {}
    await desk.page.evaluate("document.querySelector('#trace').scrollIntoView()")
    await desk.picture("console-trace")


async def test_an_alert_that_fires_leads_to_its_runbook_and_back(observed, desk):
    page = desk.page
    await desk.open("/now")
    await page.sees("Codes accepted")
    observed.stack.stop_process(DOWN)
    try:
        observed.await_alert("ServiceDown", service_name=DOWN)
        await desk.open("/now")
        await page.sees("ServiceDown")
        assert await desk.faults() == {}
        await desk.picture("console-now")
        await desk.act("a[href='/runbooks/ServiceDown']", "what to do")
        shown = await page.text()
        assert "What it means" in shown
        assert "make status" in shown
        assert await desk.faults() == {}
        await desk.act("a[href='/now']", "Now")
        await page.sees("ServiceDown")
    finally:
        observed.stack.start_process(DOWN)
    observed.await_calm("ServiceDown")
    await desk.open("/now")
    await page.until(
        "!document.querySelector('[data-part=\"/now/alerts\"]').innerText.includes('ServiceDown')"
    )
