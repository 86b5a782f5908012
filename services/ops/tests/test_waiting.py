"""What a payment waits for, by its state and by what the owners know."""

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
        (facts("AWAITING_CODE"), "request of the customer", DEADLINE),
        (facts("CONFIRMED", "PENDING"), "settlement to take it in", None),
        (facts("CONFIRMED", "PENDING", missing=["settlement is away"]), "settlement", None),
        (facts("CONFIRMED", "PENDING", **instruction("QUEUED")), "next message to first", SOON),
        (facts("CONFIRMED", "PENDING", **instruction("SENDING")), "acknowledge", SOON),
        (facts("CONFIRMED", "SENT", **instruction("SENT")), "first-bank to book", SOON),
        (facts("CONFIRMED", "UNKNOWN", **instruction("UNKNOWN")), "whether it has", SOON),
        (facts("CONFIRMED", "RECONCILE", **instruction("RECONCILE")), "nothing final", SOON),
        (facts("CONFIRMED", "SENT", **instruction("NEW_ONE")), "NEW_ONE", SOON),
        (facts("CONFIRMED", "SENT", **instruction("SETTLED")), "confirm to note", None),
        (facts("CONFIRMED", "SENT", **instruction("SENT", parked_at=PAST)), "parked", None),
    ],
)
def test_a_payment_that_has_not_ended_says_what_it_waits_for_and_until_when(found, what, until):
    [(told, told_until)] = waits(found)
    assert what in told
    assert told_until == until


@pytest.mark.parametrize(
    "found",
    [
        facts("DECLINED"),
        facts("CONFIRMED", "SETTLED", **instruction("SETTLED", due_at=None)),
        facts("CONFIRMED", "REJECTED", **instruction("REJECTED", due_at=None)),
    ],
)
def test_a_payment_that_has_ended_waits_for_nothing(found):
    assert waits(found) == []


@pytest.mark.parametrize(
    ("challenge", "expected"),
    [
        (CODE, ["the customer's one-time code", "a request of the customer"]),
        (CODE | {"expires_at": PAST}, ["a request of the customer"]),
        (CODE | {"state": "LOCKED"}, ["a request of the customer"]),
    ],
    ids=["a live code", "an expired one", "a locked one"],
)
def test_a_code_is_waited_for_while_it_can_be_used(challenge, expected):
    older = {"state": "LIVE", "expires_at": SOON}
    found = waits(facts("AWAITING_CODE", challenges=[older, challenge]))
    assert [what for what, _ in found] == expected


@pytest.mark.parametrize(
    ("status", "who"), [("OPEN", "people"), ("PROPOSED", "a second person")], ids=str
)
def test_an_unresolved_case_waits_for_people_and_names_the_command(status, who):
    case = {"id": "c-1", "kind": "MISSING_THERE", "status": status}
    [wait] = waits_of(facts("CONFIRMED", "SETTLED", cases=[case]), NOON)
    assert (wait.what, wait.then) == (
        f"{who} to resolve MISSING_THERE",
        "countersign cases show c-1",
    )


def test_a_message_that_is_not_sent_yet_is_waited_for():
    message = {"channel": "email", "template": "confirmed", "due_at": SOON, "parked_at": None}
    sent = message | {"due_at": None}
    parked = message | {"parked_at": PAST}
    found = waits(facts("DECLINED", deliveries=[message, sent, parked]))
    assert [until for _, until in found] == [SOON, None]
    assert "parked" in found[1][0]
