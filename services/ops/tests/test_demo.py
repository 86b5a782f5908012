"""The demonstration's script is consistent, and unexpected responses are faults."""

from decimal import Decimal

import pytest

from local_stack.discovery import RunningStack
from ops.clients.addresses import find_addresses
from ops.clients.confirmation import exit_code_of
from ops.clients.system import HttpResponse, System
from ops.demo.__main__ import show_where
from ops.demo.requests import MOST_REQUESTS_SENT, Run, body_of, faults_of
from ops.demo.scenarios import CODE, SCENARIOS, SCREENED, SHOWN, Cast, Step
from ops.demo.screen import Screen

CAST = Cast("abcde")
PRINTED = ("tx-987", "abc-123", "acc-1", "usr-456")


def response(status=200, text="", body=None, **headers):
    return HttpResponse(status, headers, body, text, 1.0)


@pytest.mark.parametrize("scenario", SCENARIOS + SCREENED, ids=lambda one: one.name)
def test_the_expected_balances_follow_from_the_settled_payments(scenario):
    spent = sum(
        Decimal(step.amount) * 100
        for step in scenario.steps
        if step.amount and scenario.outcomes.get(step.payment) == "SETTLED"
    )
    assert scenario.opening_minor - spent == scenario.closing_minor


@pytest.mark.parametrize("scenario", SCENARIOS + SCREENED, ids=lambda one: one.name)
def test_every_customer_stays_well_below_ten_requests_a_minute(scenario):
    assert len(scenario.steps) - 1 + MOST_REQUESTS_SENT < 10


@pytest.mark.parametrize("scenario", SCENARIOS + SCREENED, ids=lambda one: one.name)
def test_every_confirmed_payment_is_followed(scenario):
    confirmed = {step.payment for step in scenario.steps if step.status == 200}
    assert confirmed == set(scenario.outcomes)


def test_the_demonstration_does_not_use_the_ids_of_the_readme():
    bodies = [body_of(CAST, scenario, step) for scenario in SCENARIOS for step in scenario.steps]
    used = {value for body in bodies for value in body.values()}
    used |= {CAST.user(scenario) for scenario in SCENARIOS}
    assert not used & set(PRINTED)


def test_two_runs_share_no_names():
    other = Cast("vwxyz")
    for scenario in SCENARIOS:
        assert CAST.user(scenario) != other.user(scenario)
        assert CAST.transaction(scenario) != other.transaction(scenario)


def test_the_shown_payment_needs_a_code():
    assert [exit_code_of(step.status, step.body) for step in SHOWN.steps] == [3, 1, 0, 0]
    assert CODE in {step.code for step in SHOWN.steps}


SUCCEEDS = Step("confirm", 200, {"status": "SUCCESS"})
REPEATS = Step("again", 200, {"status": "SUCCESS"}, is_repeat=True)
DONE = {"status": "SUCCESS", "reference": "R"}


@pytest.mark.parametrize(
    ("step", "answer", "before", "faults"),
    [
        (SUCCEEDS, response(body=DONE), None, 0),
        (SUCCEEDS, response(status=202, body={"status": "PENDING"}), None, 2),
        (SUCCEEDS, response(body=None), None, 1),
        (SUCCEEDS, response(body=["SUCCESS"]), None, 1),
        (REPEATS, response(body=DONE, text="x", **{"idempotent-replayed": "true"}), "x", 0),
        (REPEATS, response(body=DONE, text="x"), "x", 1),
        (REPEATS, response(body=DONE, text="y", **{"idempotent-replayed": "true"}), "x", 1),
        (REPEATS, response(body=DONE, text="x", **{"idempotent-replayed": "true"}), None, 1),
    ],
)
def test_an_unexpected_response_is_a_fault(step, answer, before, faults):
    first = response(text=before) if before else None
    assert len(faults_of(step, answer, first)) == faults


def test_with_containers_the_demonstration_prints_the_grafana_login(capsys, monkeypatch):
    running = RunningStack("compose", "", "", "", "/secrets", {})
    monkeypatch.setattr("local_stack.addresses.find_stack", lambda _: running)
    with System(find_addresses({})) as system:
        show_where(Run(system, Screen(), CAST))
    assert "admin, password: cat /secrets/grafana-admin" in capsys.readouterr().out
