"""What one payment's page shows beside its rows: events side by side, relations, the trace."""

import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from ops.clients.jaeger import Jaeger
from ops.clients.prometheus import Codes, Prometheus
from ops.console.frame import Templates
from ops.domain.concerns import concern_of, has_ended
from ops.domain.errors import UnavailableError
from ops.domain.raw_events import MOST_CHARACTERS, side_by_side
from ops.domain.related import common_of, related_to
from ops.domain.waterfalls import MOST_SPANS, WIDTH, Span, span_of, waterfall_of

PAYMENT = "0b5c7b0e-5a0e-5d0a-9a63-3f2f5d1c7e11"
LATER = "2026-11-30T13:00:01+00:00"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def event(topic, fields, *, is_raw=True):
    return {"topic": topic, "fields": fields, "is_raw": is_raw, "event_id": "e"}


def test_events_stand_side_by_side_with_the_version_of_their_schema():
    found = side_by_side(
        [
            event("settlement-queue", {"payment_id": PAYMENT, "currency": "USD", "new_one": 1}),
            event("settlement.updated.v1", {"payment_id": PAYMENT, "currency": "EUR"}),
            event("risk.assessed.v1", {"payment_id": PAYMENT, "rare": {"a": [1]}}, is_raw=False),
            event("risk.assessed.v1", None),
        ]
    )
    types = [column.type for column in found.columns]
    assert types == ["settlement.requested.v1", "settlement.updated.v1", *["risk.assessed.v1"] * 2]
    assert found.columns[0].unknown == ["new_one"]
    assert [column.note for column in found.columns] == [
        "",
        "",
        "stored without its sealed fields",
        "not readable",
    ]
    lines = {line.name: line for line in found.lines}
    assert next(iter(lines)) == "payment_id"
    assert lines["payment_id"].cells == [PAYMENT, PAYMENT, PAYMENT, None]
    assert (lines["payment_id"].differs, lines["currency"].differs) == (False, True)
    assert lines["rare"].cells[2] == '{"a": [1]}'


def test_a_long_value_is_cut():
    found = side_by_side([event("x", {"long": "a" * 1000})])
    assert found.lines[0].cells[0] == "a" * MOST_CHARACTERS + "…"
    assert found.columns[0].type == "x"


def payment(name, **changed):
    found = {
        "payment_id": name,
        "user_id": "usr-1",
        "from_account": "acc-1",
        "to_account": "payee",
        "amount": "5.00",
        "currency": "USD",
        "created_at": "2026-11-30T12:00:00+00:00",
    }
    return found | changed


@pytest.mark.parametrize(
    ("changed", "common"),
    [
        ({}, ["same customer", "same payer", "same payee", "same order again"]),
        ({"amount": "6.00"}, ["same customer", "same payer", "same payee"]),
        (
            {"created_at": "2026-11-30T13:00:01+00:00"},
            ["same customer", "same payer", "same payee"],
        ),
        ({"user_id": "usr-2", "from_account": "acc-2"}, ["same payee"]),
        ({"user_id": "usr-2", "from_account": "acc-2", "to_account": "x"}, []),
    ],
)
def test_two_payments_have_in_common_what_their_fields_say(changed, common):
    assert common_of(payment("a"), payment("b", **changed)) == common


def test_related_payments_are_listed_once_those_with_most_in_common_first():
    others = [
        payment("a"),
        payment("far", user_id="usr-2", from_account="acc-2"),
        payment("old", amount="6.00", created_at="2026-11-29T12:00:00+00:00"),
        payment("new", amount="6.00"),
        payment("new", amount="6.00"),
        payment("none", user_id="u", from_account="f", to_account="t"),
    ]
    found = [one.payment["payment_id"] for one in related_to(payment("a"), others)]
    assert found == ["new", "old", "far"]


def span(name, parent="", started_us=0, took_us=10, service="confirm"):
    return Span(name, parent, service, f"does {name}", started_us, took_us, has_failed=False)


def test_a_waterfall_is_a_tree_by_start_within_the_traces_time():
    spans = [
        span("late", "root", started_us=1_000_900, took_us=100),
        span("root", started_us=1_000_000, took_us=1000, service="gateway"),
        span("early", "root", started_us=1_000_100, took_us=500),
        span("inner", "early", started_us=1_000_200, took_us=0),
        span("lost", "of another", started_us=1_000_500),
    ]
    found = waterfall_of(spans)
    shape = [(line.span.id, line.depth, line.left, line.width) for line in found.lines]
    assert shape == [
        ("root", 0, 0, WIDTH),
        ("early", 1, 100, 500),
        ("inner", 2, 200, 2),
        ("late", 1, 900, 100),
        ("lost", 0, 500, 10),
    ]
    assert (found.took_ms, found.spans, found.services) == (1.0, 5, 2)
    assert waterfall_of([]) is None


def test_a_waterfall_ends_at_its_limit_whatever_the_spans_say():
    many = [span(str(n), str(n - 1), started_us=n) for n in range(MOST_SPANS + 5)]
    found = waterfall_of([*many, span("own", "own")])
    assert (len(found.lines), found.spans) == (MOST_SPANS, MOST_SPANS + 6)
    assert all(line.left + line.width <= WIDTH for line in found.lines)


JAEGERS_REPLY = {
    "data": [
        {
            "traceID": TRACE,
            "spans": [
                {
                    "traceID": TRACE,
                    "spanID": "b7ad6b7169203331",
                    "operationName": "POST /payment/confirm",
                    "references": [],
                    "startTime": 1_764_500_000_000_000,
                    "duration": 2500,
                    "tags": [{"key": "http.route", "type": "string", "value": "/x"}],
                    "processID": "p1",
                },
                {
                    "traceID": TRACE,
                    "spanID": "00f067aa0ba902b7",
                    "operationName": "process payment.confirm-requested.v1",
                    "references": [
                        {"refType": "FOLLOWS_FROM", "traceID": TRACE, "spanID": "other"},
                        {"refType": "CHILD_OF", "traceID": TRACE, "spanID": "b7ad6b7169203331"},
                    ],
                    "startTime": 1_764_500_000_001_000,
                    "duration": 900,
                    "tags": [{"key": "error", "type": "bool", "value": True}],
                    "processID": "p2",
                },
            ],
            "processes": {"p1": {"serviceName": "gateway"}, "p2": {"serviceName": "confirm"}},
        }
    ]
}
"""The shape of Jaeger's query API."""


def test_a_span_of_jaeger_has_parent_service_and_fault():
    trace = JAEGERS_REPLY["data"][0]
    root, child = (span_of(one, "x") for one in trace["spans"])
    assert (root.parent, root.has_failed, root.took_us) == ("", False, 2500)
    assert (child.parent, child.has_failed) == (root.id, True)


@pytest.mark.parametrize(
    ("references", "parent"),
    [
        ([("FOLLOWS_FROM", TRACE, "a")], "a"),
        ([("FOLLOWS_FROM", "another", "a")], ""),
        ([("FOLLOWS_FROM", TRACE, "a"), ("CHILD_OF", TRACE, "b")], "b"),
    ],
)
def test_a_span_that_is_linked_to_its_own_parent_is_below_it(references, parent):
    names = ("refType", "traceID", "spanID")
    raw = JAEGERS_REPLY["data"][0]["spans"][0]
    raw = raw | {"references": [dict(zip(names, one, strict=True)) for one in references]}
    assert span_of(raw, "x").parent == parent


def test_a_waterfall_is_drawn_without_the_inline_style_that_the_policy_forbids():
    trace = JAEGERS_REPLY["data"][0]
    spans = [
        span_of(one, trace["processes"][one["processID"]]["serviceName"]) for one in trace["spans"]
    ]
    found = {"value": waterfall_of(spans), "away": None}
    shown = Templates().render("parts/trace.html", box=found, width=WIDTH)
    assert '<rect x="400" y="0" width="360"' in shown
    assert shown.count("failed") == 1
    assert "style=" not in shown


@pytest.fixture
def served():
    """A server that replies as it was prepared to every request, and its address."""
    prepared = {"status": 200, "body": b"{}"}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            prepared["path"] = self.path
            self.send_response(prepared["status"])
            self.send_header("Content-Length", str(len(prepared["body"])))
            self.end_headers()
            self.wfile.write(prepared["body"])

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield prepared, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_trace_is_read_from_jaeger_and_one_that_it_does_not_have_is_empty(served):
    prepared, url = served
    prepared["body"] = json.dumps(JAEGERS_REPLY).encode()
    found = Jaeger(url).spans(TRACE)
    assert prepared["path"] == f"/api/traces/{TRACE}"
    assert [one.service for one in found] == ["gateway", "confirm"]
    prepared["status"] = 404
    assert Jaeger(url).spans(TRACE) == []


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"data": [{"spans": [{}]}]}', b'{"data": 1}'])
def test_what_is_no_reply_of_jaeger_is_one_that_is_away(served, body):
    prepared, url = served
    prepared["body"] = body
    for status, address in ((200, url), (503, url), (200, "http://127.0.0.1:1"), (200, "")):
        prepared["status"] = status
        with pytest.raises(UnavailableError, match="Jaeger") as raised:
            Jaeger(address).spans(TRACE)
        assert raised.value.then == "make observe"


def test_codes_are_counted_by_their_result(served):
    prepared, url = served
    rows = [
        {"metric": {"result": name}, "value": [0, value]}
        for name, value in (("valid", "9.1"), ("wrong", "2.9"))
    ]
    prepared["body"] = json.dumps({"data": {"result": rows}}).encode()
    assert Prometheus(url).codes() == Codes(accepted=9, checked=12)
    prepared["body"] = json.dumps({"data": {"result": []}}).encode()
    assert Prometheus(url).codes() == Codes(accepted=0, checked=0)


@pytest.mark.parametrize(
    ("data", "concerns"),
    [
        ({"payment_id": PAYMENT, "note": "***"}, {"payment_id": PAYMENT}),
        ({"payment_id": "../x", "amount_minor": 5}, {"amount_minor": 5}),
        ({"payment_id": "***", "user_id": None, "uetr": ""}, {}),
        ("5 bytes, not JSON", {}),
    ],
)
def test_a_dead_letter_concerns_the_payment_that_it_names(data, concerns):
    assert concern_of(data) == concerns


@pytest.mark.parametrize(
    ("state", "settlement", "is_over"),
    [
        ("DECLINED", "NONE", True),
        ("CONFIRMED", "SETTLED", True),
        ("CONFIRMED", "REJECTED", True),
        ("CONFIRMED", "PENDING", False),
        ("CONFIRMED", "UNKNOWN", False),
        ("AWAITING_CODE", "NONE", False),
    ],
)
def test_a_payment_has_ended_once_no_step_is_expected(state, settlement, is_over):
    assert has_ended({"state": state, "settlement_status": settlement}) is is_over
