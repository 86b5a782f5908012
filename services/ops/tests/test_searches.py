"""The fields of a search, and the steps of a timeline."""

from datetime import UTC, datetime, timedelta

import pytest

from ops.console.pages.payments import _cell
from ops.domain.activity import rates_of
from ops.domain.searches import BadSearchError, asked_of
from ops.domain.timelines import emitter_of, steps_of

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("form", "asked"),
    [
        ({"id": " tx-1 ", "user_id": "", "after": "x"}, {"id": "tx-1"}),
        ({"state": "DECLINED"}, {"status": "DECLINED"}),
        ({"state": "settlement:SENT"}, {"settlement_status": "SENT"}),
        ({"amount": "5,200"}, {"amount_minor": 520000, "currency": "USD"}),
        ({"amount": "5200", "currency": "jpy"}, {"amount_minor": 5200, "currency": "JPY"}),
        ({"currency": "eur"}, {"currency": "EUR"}),
        ({"since": "2026-11-30T12:00"}, {"since": NOON.isoformat()}),
        ({"since": "2026-11-30T13:00+01:00"}, {"since": "2026-11-30T13:00:00+01:00"}),
        ({"until": "2026-11-29"}, {"until": "2026-11-30T00:00:00+00:00"}),
    ],
)
def test_a_form_asks_for_its_fields(form, asked):
    assert asked_of(form) == asked


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"state": "SETTLED"}, "state"),
        ({"amount": "x"}, "amount"),
        ({"amount": "0"}, "amount"),
        ({"amount": "1.005"}, "amount"),
        ({"amount": "1.5", "currency": "JPY"}, "amount"),
        ({"currency": "XXY"}, "currency"),
        ({"since": "yesterday"}, "since"),
        ({"until": "2026-13-01"}, "until"),
        ({"account": "x" * 600}, "account"),
    ],
)
def test_a_field_that_is_not_valid_is_named(form, field):
    with pytest.raises(BadSearchError, match=f"^{field}: "):
        asked_of(form)


def entry(event, seconds, **metadata):
    at = (NOON + timedelta(seconds=seconds)).isoformat()
    return {"event": event, "topic": "risk.assessed.v1", "created_at": at, "metadata": metadata}


def test_a_timeline_shows_the_pauses_between_its_steps():
    rows = [
        entry("A", 0, payment_id="p", score=95, factors=[{"name": "amount", "points": 45}]),
        entry("B", 0.4),
        entry("C", 95),
    ]
    steps = steps_of(rows)
    assert [step.gap for step in steps] == ["", "", "1 min"]
    assert steps[0].details == {"score": "95", "factors": "amount 45"}
    assert {step.service for step in steps} == {"risk"}


@pytest.mark.parametrize(
    ("topic", "service"),
    [
        ("risk.assessment-requested.v1", "confirm"),
        ("risk.assessed.v1", "risk"),
        ("otp.verification-requested.v1", "confirm"),
        ("settlement-queue", "confirm"),
        ("settlement.updated.v1", "settlement"),
        ("payment.confirmed.v1", "confirm"),
        ("notification.delivered.v1", "notification"),
    ],
)
def test_a_step_names_the_service_that_has_emitted_it(topic, service):
    assert emitter_of(topic) == service


def newest(status, payments, settlement_status="NONE", seconds=60):
    first = (NOON - timedelta(seconds=seconds)).isoformat()
    return {
        "status": status,
        "settlement_status": settlement_status,
        "payments": payments,
        "first_at": first,
    }


def test_rates_are_of_the_window_or_since_the_oldest_of_the_newest_payments():
    found = {"now": NOON.isoformat(), "window_s": 900, "newest_at_most": 1000}
    few = rates_of({**found, "newest": [newest("CONFIRMED", 90, "SETTLED"), newest("DECLINED", 3)]})
    assert (few.window_s, few.outcomes) == (900, {"SETTLED": 90, "DECLINED": 3})
    assert (few.a_minute(90), few.a_minute(3), few.a_minute(0)) == ("6.0", "0.2", "0")
    many = rates_of({**found, "newest": [newest("CONFIRMED", 1000, "PENDING", seconds=2)]})
    assert (many.window_s, many.a_minute(many.total)) == (2, "30,000")


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("@x", "'@x"),
        ("-5", "'-5"),
        ("5200.00", "5200.00"),
        (None, ""),
    ],
)
def test_an_export_holds_no_formula(value, cell):
    assert _cell(value) == cell
