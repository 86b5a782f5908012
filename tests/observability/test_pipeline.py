"""Mixed payments are visible: every panel has data, and no page fires without a fault."""

import asyncio

import pytest
from traffic import Traffic, pay_with_webhooks, receiver

from local_stack.layout import CHECKOUT
from local_stack.waiting import wait_until
from observability.checking import panels_with_too_many_lines, queries_without_data

pytestmark = [pytest.mark.observability, pytest.mark.timeout(420)]

DASHBOARDS = CHECKOUT / "grafana-dashboards"
LOAD_S = 45


@pytest.fixture(scope="module")
async def loaded(observed, edge):
    async with receiver() as url:
        await asyncio.gather(
            Traffic(edge, "panels").drive(LOAD_S),
            pay_with_webhooks(edge, "webhooks", url, LOAD_S),
        )
    return observed


def test_every_panel_shows_data_after_a_minute_of_mixed_payments(loaded):
    prometheus = loaded.prometheus
    wait_until(
        lambda: not queries_without_data(prometheus, DASHBOARDS),
        seconds=60,
        otherwise=f"no data: {[str(one) for one in queries_without_data(prometheus, DASHBOARDS)]}",
        pause_s=5,
    )


def test_no_panel_has_more_lines_than_the_native_page_draws(loaded):
    assert panels_with_too_many_lines(loaded.prometheus, DASHBOARDS) == {}


def test_a_renamed_metric_would_be_found(loaded):
    assert loaded.prometheus.has_data("sum(rate(payment_confirm_total[1m]))")
    assert not loaded.prometheus.has_data("sum(rate(payment_confirmed_total[1m]))")


def test_no_page_fires_without_a_fault(loaded):
    fired = loaded.prometheus.firing()
    assert {name: all_ for name, all_ in fired.items() if all_[0]["severity"] == "page"} == {}


def test_a_durations_exemplar_leads_to_its_trace(loaded):
    found = loaded.prometheus.exemplars("payment_confirm_duration_seconds_bucket")
    assert found
    assert any(loaded.trace(trace_id) for trace_id in found)


def test_a_payment_is_one_trace_through_the_services(loaded):
    def services(trace):
        return {process["serviceName"] for process in trace["processes"].values()}

    passed = {"gateway", "confirm", "risk", "settlement"}
    assert any(passed <= services(trace) for trace in loaded.traces("settlement"))
