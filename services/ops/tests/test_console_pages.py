"""What the pages of the console make of forms and of the owners' replies."""

import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from types import SimpleNamespace

import pytest

from ops.clients.addresses import Addresses
from ops.clients.grants import DEVICE_GRANT, grants_of
from ops.clients.partner_profiles import activity_of
from ops.clients.system import System
from ops.console.frame import Templates
from ops.console.pages import access, charges, models, partners, proposals, reconciliation, system
from ops.domain.errors import RefusedError

UETR = "8a562c67-ca16-48ba-b074-65581be6f011"


@pytest.fixture
def owner():
    """A service that replies as it was prepared, and a client of it under every owner's name."""
    replies = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            status, found = replies[self.path.partition("?")[0]]
            raw = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            self.send_header("X-Service-Version", "7.1")
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever)
        thread.start()
        names = dict.fromkeys(("settlement", "identity", "webhooks"), url)
        addresses = Addresses({**names, "away": "http://127.0.0.1:1"})
        with System(addresses, bearer=lambda: "t") as client:
            yield replies, client
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("act", "form", "body"),
    [
        ("suspend", {"uetr": "x"}, {}),
        ("replay", {"uetr": f" {UETR} "}, {"uetr": UETR}),
        ("replay", {"since": "2026-11-30T08:00"}, {"since": "2026-11-30T08:00:00+00:00"}),
        ("keys", {"keys": '{"keys": []}'}, {"keys": {"keys": []}}),
    ],
)
def test_a_form_about_a_partner_becomes_the_body_of_its_act(act, form, body):
    assert partners._body(act, form) == body


@pytest.mark.parametrize(
    ("act", "form", "named"),
    [
        ("replay", {}, "since, uetr"),
        ("replay", {"uetr": UETR, "since": "2026-11-30T08:00"}, "since, uetr"),
        ("replay", {"since": "yesterday"}, "since"),
        ("keys", {"keys": "{"}, "keys"),
        ("keys", {}, "keys"),
    ],
)
def test_a_field_that_cannot_be_used_is_named(act, form, named):
    with pytest.raises(RefusedError, match=named):
        partners._body(act, form)


def test_days_have_a_cell_for_each_partner_the_newest_first(owner):
    replies, client = owner
    rows = [{"partner": p, "day": d} for d in ("2026-11-30", "2026-11-29") for p in ("b", "a")]
    replies["/admin/statements"] = 200, {"days": rows, "counted_to": 10}
    found = reconciliation._by_day(client)
    assert (found["partners"], list(found["days"])) == (["a", "b"], ["2026-11-30", "2026-11-29"])
    assert all(set(cells) == {"a", "b"} for cells in found["days"].values())


def test_cases_that_wait_for_a_second_person_come_first(owner):
    replies, client = owner
    rows = [
        {"id": "1", "status": "OPEN", "opened_at": "1"},
        {"id": "2", "status": "PROPOSED", "opened_at": "2"},
    ]
    replies["/admin/cases"] = 200, {"cases": rows}
    assert [one["id"] for one in reconciliation._unresolved(client)] == ["2", "1"]


def test_a_partner_that_is_unknown_is_refused_by_its_name(owner):
    replies, client = owner
    replies["/admin/partner-activity"] = 200, {"partners": [{"partner": "first-bank"}]}
    assert activity_of(client, "first-bank") == {"partner": "first-bank"}
    with pytest.raises(RefusedError, match="no partner is called 'other'"):
        activity_of(client, "other")


def test_a_process_that_is_away_or_lacks_something_comes_first(owner):
    replies, client = owner
    replies["/ready"] = 503, {"status": "not ready", "missing": ["kafka"]}
    found = {one.name: one for one in system.ready(client)}
    assert (found["identity"].missing, found["identity"].version) == (("kafka",), "7.1")
    assert found["away"].fault == "does not respond (ConnectError)"
    replies["/ready"] = 200, {"status": "ready", "missing": []}
    assert next(one.name for one in system.ready(client)) == "away"


def test_a_listing_is_read_page_by_page_and_its_proposals_beside_it(owner):
    replies, client = owner
    replies["/admin/clients"] = 200, {"clients": [{"client_id": "a"}], "next": "a"}
    assert access._page(client, access.LISTS["clients"], None)["next"] == "a"
    acts = ("CLIENT_SET", "ROLES_SET")
    replies["/admin/proposals"] = 200, {"proposals": [{"act": act} for act in acts]}
    for name, act in zip(("clients", "operators"), acts, strict=True):
        assert [row["act"] for row in access._proposed(client, name)] == [act]
    assert access._proposed(client, "endpoints") == []


def test_all_pages_of_a_listing_are_read_by_the_command(owner):
    replies, client = owner
    replies["/admin/clients"] = 200, {"clients": [{"client_id": "a"}], "next": None}
    assert client.all_rows(access.LISTS["clients"]) == [{"client_id": "a"}]


@pytest.mark.parametrize(
    ("redirect", "device", "grants"),
    [
        (False, False, ["client_credentials"]),
        (True, False, ["authorization_code"]),
        (True, True, ["authorization_code", DEVICE_GRANT]),
    ],
)
def test_a_client_gets_tokens_as_its_options_say(redirect, device, grants):
    assert grants_of(has_redirect=redirect, is_device=device) == grants


CHARGE = {
    "transactionId": "txn_1", "id": "1", "user_id": "usr-1", "amount_minor": 1_000,
    "currency": "USD", "source": "tok_1", "status": "PARTIALLY_REFUNDED", "review": "LISTED",
    "provider": "stripe", "provider_reference": "pi_1", "attempt": 2, "tried": ["adyen"],
    "code": None, "due_at": None, "parked_at": None, "last_error": None, "next_step": "ENQUIRE",
    "captured_minor": 1_000, "refunded_minor": 300, "refunding_minor": 100, "disputed_minor": 50,
    "contradicted_at": "2026-11-30T08:00:00+00:00", "created_at": "2026-11-30T08:00:00+00:00",
    "updated_at": "2026-11-30T08:00:00+00:00",
    "refunds": [{"refundId": "rfd_1", "amount": 300, "currency": "USD", "status": "SUCCEEDED"}],
    "disputes": [
        {"dispute_id": "dp_1", "status": "OPEN", "reason": "fraudulent", "amount_minor": 50,
         "currency": "USD", "opened_at": "2026-11-30T08:00:00+00:00"}
    ],
    "transfers": [
        {"kind": "REFUND_HOLD", "debit_account": "merchant:usr-1:USD",
         "credit_account": "refunding:stripe:USD", "amount_minor": 300, "currency": "USD",
         "posted_at": "2026-11-30T08:00:00+00:00"}
    ],
    "choices": [
        {"attempt": 1, "provider": "adyen", "propensity": 0.25, "is_success": False,
         "reasons": {"adyen": {"probability": 0.25}, "stripe": "breaker_open"}}
    ],
}  # fmt: skip


def test_the_page_of_a_card_payment_says_why_what_moved_and_what_is_left():
    left = charges.left_minor(CHARGE)
    assert left == 550
    session = SimpleNamespace(csrf="c", name="alice", actor="i|alice", scopes=("ops.read",))
    viewer = SimpleNamespace(
        session=session,
        may=lambda _scope: True,
        actor="i|alice",
        scopes=("ops.read",),
        address="",
    )
    shown = Templates().render(
        "charge.html", one=CHARGE, may=True, left=left, viewer=viewer, sections=[], notice=None,
        review="", waits=None, may_review=True, links={},
        path="/charges/txn_1", theme="", is_development=False,
    )  # fmt: skip
    for text in ("excluded: breaker open", "REFUND HOLD".lower(), "5.50", "contradicts", "dp_1"):
        assert text in shown


@pytest.mark.parametrize("share", ["", "0", "100", "1.5", "²"])
def test_a_canarys_share_that_is_none_is_refused(share):
    with pytest.raises(RefusedError, match="share"):
        models.body_of({"stage": "CANARY", "share": share})


def test_a_step_up_becomes_its_body_and_a_roll_back_a_sentence():
    assert models.body_of({"stage": "CANARY", "share": "20"}) == {"stage": "CANARY", "share": 20}
    assert models.body_of({"stage": "LIVE"}) == {"stage": "LIVE"}
    steps = [{"version": "a", "stage": "RETIRED"}, {"version": "b", "stage": "LIVE"}]
    assert models.rolled_back({"steps": steps}) == "Rolled back: a is retired, b is live."


def test_calibration_is_found_frauds_for_each_expected_one():
    assert models.calibration_of({"found": 3, "expected": 2.0}) == "1.50"
    assert models.calibration_of({"found": 0, "expected": 0.0}) is None
    assert models.calibration_of(None) is None


@pytest.mark.parametrize(
    ("form", "body"),
    [
        ({"note": " twice "}, {"note": "twice"}),
        ({"note": "twice", "amount": "300"}, {"note": "twice", "amount": 300}),
    ],
)
def test_a_form_of_a_refund_becomes_its_body(form, body):
    assert charges.body_of(form) == body


@pytest.mark.parametrize(
    ("form", "named"),
    [
        ({}, "note"),
        ({"note": "a", "amount": "3.00"}, "amount"),
        ({"note": "a", "amount": "0"}, "amount"),
    ],
)
def test_a_refunds_field_that_cannot_be_used_is_named(form, named):
    with pytest.raises(RefusedError, match=named):
        charges.body_of(form)


def test_a_form_of_a_review_becomes_its_body():
    body = {"approve": True, "note": "a donor"}
    assert charges.decision_of({"decision": "approve", "note": " a donor "}) == body
    assert charges.decision_of({"decision": "reject", "note": "a"})["approve"] is False


@pytest.mark.parametrize(
    ("form", "named"), [({"note": "a"}, "decision"), ({"decision": "approve"}, "note")]
)
def test_a_reviews_field_that_is_missing_is_named(form, named):
    with pytest.raises(RefusedError, match=named):
        charges.decision_of(form)


@pytest.mark.parametrize(
    ("form", "part"),
    [
        (
            {"client_id": " acme ", "kind": "customer", "customer-payment.confirm": "1"},
            {"client_id": "acme", "scopes": ["payment.confirm"], "grants": ["client_credentials"]},
        ),
        (
            {"kind": "operator", "operator-ops.read": "1", "customer-payment.confirm": "1"},
            {"kind": "operator", "scopes": ["ops.read"]},
        ),
        (
            {"kind": "customer", "redirect_uris": "https://a/x\r\nhttps://b/y", "device": "1"},
            {
                "redirect_uris": ["https://a/x", "https://b/y"],
                "grants": ["authorization_code", DEVICE_GRANT],
            },
        ),
        ({"kind": "other", "other-x": "1"}, {"scopes": []}),
    ],
)
def test_a_form_about_a_client_becomes_what_identity_takes(form, part):
    assert part.items() <= access.client_of(form).items()


def test_the_content_of_a_proposal_is_shown_whole_and_its_letters_apart():
    body = {"reason": "a test", "places": ["t/0/1"], "letters": [{"place": "t/0/1"}]}
    assert proposals.facts_of(body) == {"reason": "a test"}
    assert proposals.facts_of({"places": ["a", "b"]}) == {"places": "a, b"}
    shown = proposals.facts_of({"roles": [], "name": "", "kind": "operator"})
    assert shown == {"roles": "none", "name": "none", "kind": "operator"}


@pytest.mark.parametrize(
    ("done", "words"),
    [
        ({"discarded": 2}, "Discarded: 2"),
        ({"redriven": 3}, "3 records are published again"),
        ({"client_id": "acme"}, "acme"),
        ({"user": "cs_user_1", "roles": []}, "cs_user_1"),
        ({"version": "m-1", "stage": "CANARY", "share": 20}, "m-1 is canary for 20 %"),
    ],
)
def test_an_approval_says_what_it_has_done(done, words):
    assert words in proposals.outcome_of(done)


def test_proposals_of_an_unknown_service_are_refused():
    with pytest.raises(RefusedError, match="owner"):
        proposals._owner("gateway")
