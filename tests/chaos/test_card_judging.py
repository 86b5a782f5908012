"""The comparison of card payments with the providers' own records: each contradiction is found."""

import json
from dataclasses import replace

import pytest
from chaos_card_checker import Recorded, judge, records_of
from chaos_card_clients import CardPayment, Request

ID, REFUND = "1" * 32, "2" * 32
NAME = f"txn_{ID}"
SUCCESS = (200, json.dumps({"transactionId": NAME, "status": "success"}))
PENDING = (202, json.dumps({"transactionId": NAME, "status": "processing"}))
DECLINED = (402, json.dumps({"transactionId": NAME, "status": "declined"}))
ACCEPTED = (202, json.dumps({"data": {"refundId": f"rfd_{REFUND}"}}))
REFUSED = (409, json.dumps({"error": "More than is left to refund", "details": "CAPTURED"}))
REFUSED_LATER = (409, json.dumps({"error": "More than is left to refund", "details": "REFUNDED"}))
BUSY = (409, json.dumps({"error": "A request with this Idempotency-Key is in progress"}))
CANCELLED = (200, json.dumps({"data": {"status": "AUTHORIZED"}}))
TAKEN = Recorded("stripe", "succeeded", 1000, {f"ref-{REFUND}": 400})
READ = {
    "status": "PARTIALLY_REFUNDED",
    "captured": 1000,
    "provider": "stripe",
    "refunds": [{"refundId": f"rfd_{REFUND}", "amount": 400, "status": "SUCCEEDED"}],
}


def found(responses=(SUCCESS,), changes=((ACCEPTED,),), kind="refunded", read=READ, at=(TAKEN,)):
    """Return the first words of the violations."""
    further = [Request("refunds", {}, "k", list(one)) for one in changes]
    payment = CardPayment(kind, 1000, False, Request("/pay", {}, "k", list(responses)), further)
    return {one.split()[0] for one in judge([payment], {NAME: read}, {ID: list(at)})}


def test_what_agrees_passes():
    lost = (0, "ReadError()")
    assert (
        found((lost, PENDING, BUSY, SUCCESS, SUCCESS), ((ACCEPTED,), (REFUSED, REFUSED_LATER)))
        == set()
    )


def test_what_is_cancelled_before_its_capture_passes():
    cancelled = {"status": "CANCELLED", "captured": 0, "provider": "stripe"}
    released = Recorded("stripe", "canceled", 1000)
    given = {"changes": ((CANCELLED,),), "read": cancelled, "at": (released,)}
    assert found(kind="revoked", **given) == set()
    assert found(kind="plain", **given) == {"I1"}


@pytest.mark.parametrize(
    ("given", "invariant"),
    [
        pytest.param({"at": (TAKEN, replace(TAKEN, provider="adyen"))}, "I2", id="captured twice"),
        pytest.param({"at": ()}, "I2", id="captured nowhere"),
        pytest.param({"at": (replace(TAKEN, amount_minor=900),)}, "I2", id="another amount"),
        pytest.param({"at": (replace(TAKEN, provider="adyen"),)}, "I2", id="another provider"),
        pytest.param(
            {"at": (TAKEN, Recorded("adyen", "authorised", 1000))}, "I2", id="held elsewhere"
        ),
        pytest.param(
            {"at": (replace(TAKEN, refunds={f"ref-{REFUND}": 1100}),)}, "I2", id="refund too large"
        ),
        pytest.param({"at": (replace(TAKEN, refunds={}),)}, "I2", id="refund not done"),
        pytest.param({"changes": ((ACCEPTED,), (ACCEPTED,))}, "I1", id="one refund for two"),
        pytest.param({"responses": (SUCCESS, DECLINED)}, "I7", id="two outcomes"),
        pytest.param({"responses": (DECLINED,)}, "I1", id="another outcome"),
        pytest.param({"responses": (PENDING, BUSY)}, "I8", id="no outcome"),
        pytest.param({"read": READ | {"status": "PROCESSING"}}, "I8", id="unknown for ever"),
        pytest.param({"kind": "cancelled", "changes": ((CANCELLED,),)}, "I1", id="not cancelled"),
        pytest.param({"responses": ((500, "{}"), SUCCESS)}, "an", id="an error"),
    ],
)
def test_a_contradiction_is_found(given, invariant):
    assert invariant in found(**given)


def test_a_payment_that_nobody_has_requested_is_found():
    listed = {
        "stripe": [
            {
                "metadata": {"reference": f"chg-{ID}-1"},
                "status": "succeeded",
                "amount": 5,
                "refunds": {},
            }
        ]
    }
    (one,) = judge([], {}, records_of(listed))
    assert one == f"I2 at a provider, and requested by nobody: {ID}"
