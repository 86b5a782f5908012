"""The requests and responses that the documents print, field by field.

| document | what differs, and why |
|---|---|
| gateway-proxy.md | `riskScore` is null without a score: none is invented; `expiresIn` is 15m |
| smartpay.md | prints the paths of `/route` and `/pay`, and no body |
| native-payments-api.md | card data is encrypted alone; the printed card has expired |
| native-payments-api.md | above the limit without a score a payment is PENDING |
| native-payments-api.md | `encryptedData` is a token; there is no `decryptedData` |
"""

import json

import pytest
from charges_world import CARD, PROCESS, encrypted, process

pytestmark = pytest.mark.stack

USAGE = (
    """{"amount": 1000, "currency": "USD", "source": "tok_test", "email": "donor@example.com"}"""
)
USAGE_ANSWER = """{
  "transactionId": "txn_abc123",
  "provider": "paypal",
  "status": "success",
  "riskScore": 0.32,
  "explanation": "This payment was routed to PayPal due to a moderately high low score."
}"""
STATUS_ANSWER = """{
  "success": true,
  "data": {
    "transactionId": "txn_uuid4",
    "status": "PROCESSING",
    "amount": 10000,
    "currency": "USD",
    "createdAt": "2023-10-01T12:00:00Z",
    "updatedAt": "2023-10-01T12:00:05Z"
  }
}"""
PROCESS_PAYMENT = {
    "action": "process_payment",
    "amount": 50000,
    "currency": "USD",
    "customerId": "cus_abc123def456",
    "providerId": "prov_xyz789ghi012",
    "bookingId": "book_service_001",
    "paymentMethod": "card",
    "metadata": '{"order_id": "12345", "description": "Photography Service"}',
}
PROCESSED = """{
  "success": true,
  "paymentId": "pay_1703123456789_k2n8m9p1q",
  "transactionId": "txn_1703123456789_x4y7z2a5b",
  "status": "COMPLETED",
  "amount": 50000,
  "currency": "USD",
  "fees": 4000,
  "netAmount": 46000,
  "fraudScore": 125,
  "fraudRecommendation": "APPROVE",
  "timestamp": "2024-01-15T10:30:45.123Z"
}"""
ENCRYPTED = (
    """{"success": true, "encryptedData": "AQID==", "timestamp": "2024-01-15T10:30:45.123Z"}"""
)
UNSCORED = {"riskScore", "fraudScore"}
"""Null without a score; the documents themselves say so of a service that is away."""


def has_the_shape(body, printed):
    """Each printed field is there, in the printed type."""
    for name, value in json.loads(printed).items():
        if name in UNSCORED:
            assert body[name] is None
        elif isinstance(value, dict):
            has_the_shape(body[name], json.dumps(value))
        else:
            assert type(body[name]) is type(value), name
            if isinstance(value, str) and value[3:4] == "_":
                assert body[name].startswith(value[:4]), name
    return True


async def test_gateway_proxy_prints_a_payment_and_its_status(world):
    paid = await world.http.post("/api/v1/payments/usage", json=json.loads(USAGE))
    assert paid.status_code == 200
    assert paid.json().keys() == json.loads(USAGE_ANSWER).keys()
    assert has_the_shape(paid.json(), USAGE_ANSWER)
    read = await world.http.get(f"/api/v1/payments/{paid.json()['transactionId']}")
    assert has_the_shape(read.json(), STATUS_ANSWER)


async def test_smartpay_prints_a_choice_of_a_route_and_a_payment(world):
    choice = (await world.http.post("/route", json={"amount": 1000, "currency": "USD"})).json()
    assert choice["provider"] in world.mocks
    assert choice["reasons"]
    paid = await world.http.post("/pay", json=json.loads(USAGE))
    assert has_the_shape(paid.json(), USAGE_ANSWER)


async def test_native_payments_prints_process_payment_and_its_other_actions(world):
    paid = (await process(world, **PROCESS_PAYMENT, **CARD)).json()
    assert has_the_shape(paid, PROCESSED)
    assert paid.keys() == json.loads(PROCESSED).keys()
    # Without a score, 500.00 is held for a person.
    assert (paid["status"], paid["netAmount"], paid["fees"]) == ("PENDING", 50000, 0)
    small = (await process(world, **PROCESS_PAYMENT | {"amount": 5000}, **CARD)).json()
    assert small["status"] == "COMPLETED"
    assert has_the_shape(
        (await process(world, action="encrypt_card_data", **CARD)).json(), ENCRYPTED
    )
    assert (await process(world, action="validate_payment", **CARD)).json()["success"]


async def act(world, action, payment_id):
    return await world.http.post(PROCESS, json={"action": action, "paymentId": payment_id})


async def test_a_payment_that_waits_for_review_is_cancelled_and_shown_so(world):
    held = (await process(world, **PROCESS_PAYMENT, **CARD)).json()
    cancelled = await act(world, "cancel_payment", held["paymentId"])
    assert cancelled.status_code == 200, cancelled.text
    assert cancelled.json()["status"] in {"PROCESSING", "CANCELLED"}
    await world.ends(held["transactionId"], "CANCELLED")
    read = (await act(world, "get_payment_status", held["paymentId"])).json()
    assert (read["success"], read["status"]) == (True, "CANCELLED")
    assert world.taken(held["transactionId"]) == []


async def test_what_is_captured_foreign_or_unknown_is_not_cancelled(world):
    paid = (await process(world, **PROCESS_PAYMENT | {"amount": 500}, **CARD)).json()
    await world.ends(paid["transactionId"], "CAPTURED")
    refused = await act(world, "cancel_payment", paid["paymentId"])
    assert (refused.status_code, refused.json()["success"]) == (409, False)
    assert refused.json()["error"] == "Already captured; refund it: CAPTURED"
    for unknown in (f"pay_{'0' * 32}", "pay_1703123456789_k2n8m9p1q", ""):
        answer = await act(world, "cancel_payment", unknown)
        assert (answer.status_code, answer.json()["error"]) == (404, "PAYMENT_NOT_FOUND")
    world.as_user("usr-other")
    assert (await act(world, "cancel_payment", paid["paymentId"])).status_code == 404


async def test_metadata_that_is_no_object_is_refused_by_name(world):
    content = await encrypted(world, PROCESS_PAYMENT | {"metadata": "[1"} | CARD)
    refused = await world.http.post(
        PROCESS, content=content, headers={"Content-Type": "application/jose"}
    )
    assert (refused.status_code, refused.json()["success"]) == (400, False)
    assert "metadata" in refused.json()["error"]
