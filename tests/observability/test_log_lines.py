"""A service's log lines reach the collector, under the span in which they were written."""

import asyncio
import json

import httpx
import pytest
from faults import Faults
from traces import JaegerTrace

pytestmark = [pytest.mark.observability, pytest.mark.timeout(420)]


def lines(observed):
    """Yield every log record of the collector with its service."""
    for text in observed.log_lines().splitlines():
        for resource in json.loads(text)["resourceLogs"]:
            about = {one["key"]: one["value"] for one in resource["resource"]["attributes"]}
            for scope in resource["scopeLogs"]:
                for line in scope["logRecords"]:
                    yield about["service.name"]["stringValue"], line


def behind(page):
    """Return the data that the page of a trace requests."""
    return httpx.get(page.replace("/traces/", "/api/v2/trace/"), timeout=10).text


async def test_a_line_leads_to_the_trace_of_its_payment_and_to_its_span(observed, edge, name):
    (customer,) = await edge.open_customers(name, 1, 50_000_00)
    risk_log = observed.stack.layout.logs / "risk.log"
    before = risk_log.read_bytes().count(b"look_up_failed")
    async with Faults(observed, "ofac", "down"):
        paying = asyncio.create_task(edge.pay(customer, name))
        # Only until the first line: five failures would open the breaker and fire a page.
        await observed.seen(lambda: risk_log.read_bytes().count(b"look_up_failed") > before)
    answer = await paying
    trace_id = answer.headers["X-Trace-Id"]

    [service, line, *_] = await observed.seen(
        lambda: next((one for one in lines(observed) if one[1].get("traceId") == trace_id), None)
    )
    assert (service, line["body"]["stringValue"]) == ("risk", "look_up_failed")
    kept = {"logger", "reason", "count", "trace_url"}
    assert {one["key"] for one in line["attributes"]} == kept
    span = await observed.seen(
        lambda: JaegerTrace(observed.trace(trace_id)).name_of(line["spanId"])
    )
    assert span == "risk process risk.assessment-requested.v1"
    # A second look-up may have failed, too: another line of the same trace.
    shown = await observed.seen(
        lambda: next(
            (one for one in observed.lines_of(trace_id) if one["span_id"] == line["spanId"]), None
        )
    )
    assert (shown["service.name"], shown["_msg"]) == ("risk", "look_up_failed")
    assert shown["trace_url"].endswith(f"/zipkin/traces/{trace_id}")
    assert await observed.seen(lambda: "risk" in behind(shown["trace_url"]))


async def test_every_service_sends_its_lines(observed):
    services = set(observed.stack.instances)
    await observed.seen(lambda: services <= {name for name, _ in lines(observed)})
