"""The pending steps of a payment, by its state and its rows."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from ops.domain.waiting import waits_of

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
DEADLINE = (NOON + timedelta(minutes=15)).isoformat()
SOON = (NOON + timedelta(seconds=30)).isoformat()
PAST = (NOON - timedelta(seconds=1)).isoformat()
CODE = {"state": "LIVE", "expires_at": SOON}


def facts(state, settlement_status="NONE", **known):
    payment = {"state": state, "settlement_status": settlement_status, "deadline": DEADLINE}
    nothing = dict.fromkeys(("instructions", "challenges", "deliveries", "cases", "missing"), ())
    return SimpleNamespace(**{"payment": payment, **nothing, **known})


def instruction(status, **more):
    row = {"status": status, "partner": "first-bank", "due_at": SOON, "parked_at": None}
    return {"instructions": [row | more]}


def waits(found):
    return [(one.what, one.until) for one in waits_of(found, NOON)]


@pytest.mark.parametrize(
    ("found", "what", "until"),
    [
        (facts("AWAITING_RISK"), "risk", DEADLINE),
        (facts("CHALLENGING"), "otp to issue", DEADLINE),
        (facts("VERIFYING"), "otp to verify", DEADLINE),
        (facts("AWAITING_CODE"), "request from the customer", DEADLINE),
        (facts("CONFIRMED", "PENDING"), "settlement to receive it", None),
        (facts("CONFIRMED", "PENDING", missing=["settlement is away"]), "settlement", None),
        (facts("CONFIRMED", "PENDING", **instruction("QUEUED")), "next batch for first", SOON),
        (facts("CONFIRMED", "PENDING", **instruction("SENDING")), "acknowledge", SOON),
        (facts("CONFIRMED", "SENT", **instruction("SENT")), "first-bank to book", SOON),
        (facts("CONFIRMED", "UNKNOWN", **instruction("UNKNOWN")), "whether it has", SOON),
        (facts("CONFIRMED", "RECONCILE", **instruction("RECONCILE")), "no final outcome", SOON),
        (facts("CONFIRMED", "SENT", **instruction("NEW_ONE")), "NEW_ONE", SOON),
        (facts("CONFIRMED", "SENT", **instruction("SETTLED")), "confirm to record", None),
        (facts("CONFIRMED", "SENT", **instruction("SENT", parked_at=PAST)), "parked", None),
    ],
)
def test_an_unfinished_payment_has_a_pending_step_with_its_deadline(found, what, until):
    [(messages_of, told_until)] = waits(found)
    assert what in messages_of
    assert told_until == until


@pytest.mark.parametrize(
    "found",
    [
        facts("DECLINED"),
        facts("CONFIRMED", "SETTLED", **instruction("SETTLED", due_at=None)),
        facts("CONFIRMED", "REJECTED", **instruction("REJECTED", due_at=None)),
    ],
)
def test_a_finished_payment_has_no_pending_step(found):
    assert waits(found) == []


@pytest.mark.parametrize(
    ("challenge", "expected"),
    [
        (CODE, ["the customer's one-time code", "a request from the customer"]),
        (CODE | {"expires_at": PAST}, ["a request from the customer"]),
        (CODE | {"state": "LOCKED"}, ["a request from the customer"]),
    ],
    ids=["a live code", "an expired one", "a locked one"],
)
def test_a_live_code_is_a_pending_step(challenge, expected):
    older = {"state": "LIVE", "expires_at": SOON}
    found = waits(facts("AWAITING_CODE", challenges=[older, challenge]))
    assert [what for what, _ in found] == expected


@pytest.mark.parametrize(
    ("status", "who"), [("OPEN", "people"), ("PROPOSED", "a second person")], ids=str
)
def test_an_unresolved_case_is_a_pending_step_with_its_command(status, who):
    case = {"id": "c-1", "kind": "MISSING_THERE", "status": status}
    [wait] = waits_of(facts("CONFIRMED", "SETTLED", cases=[case]), NOON)
    assert (wait.what, wait.then) == (
        f"{who} to resolve MISSING_THERE",
        "countersign cases show c-1",
    )


def test_an_unsent_message_is_a_pending_step():
    message = {"channel": "email", "template": "confirmed", "due_at": SOON, "parked_at": None}
    sent = message | {"due_at": None}
    parked = message | {"parked_at": PAST}
    found = waits(facts("DECLINED", deliveries=[message, sent, parked]))
    assert [until for _, until in found] == [SOON, None]
    assert "parked" in found[1][0]
