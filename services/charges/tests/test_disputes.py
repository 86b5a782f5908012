"""Disputes: what they reserve, and how they end, in whatever order their webhooks come."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from charges_world import until

from charges.domain.charge import Charge, Status
from charges.domain.disputes import Booked, DisputeNews, DisputeStatus, after_news, opened
from payment_schemas.money import Money
from testkit.operators import signed_in

pytestmark = pytest.mark.stack
NOW = datetime(2026, 11, 30, tzinfo=UTC)
CHARGE = Charge(
    UUID(int=1), "usr-1", Money(1_000, "EUR"), "tok_test", "a@example.com", NOW, None,
    status=Status.CAPTURED, provider="stripe", captured_minor=1_000,
)  # fmt: skip
NEWS = DisputeNews("dp_1", "pi_1", Money(1_000, "EUR"), DisputeStatus.OPEN, "fraudulent")


def moved(booked):
    return [
        (one.kind, one.debit_account, one.credit_account, one.amount_minor)
        for one in booked.transfers
    ]


def test_an_opened_dispute_reserves_what_is_left_so_that_no_refund_exceeds_it():
    booked = opened(CHARGE, NEWS, UUID(int=2))
    assert moved(booked) == [("DISPUTE_HOLD", "merchant:usr-1:EUR", "disputed:stripe:EUR", 1_000)]
    assert (booked.charge.disputed_minor, booked.charge.refundable_minor) == (1_000, 0)


def test_after_a_refund_only_the_rest_is_the_merchants():
    refunded = replace(CHARGE, status=Status.PARTIALLY_REFUNDED, refunded_minor=700)
    booked = opened(refunded, NEWS, UUID(int=2))
    assert (booked.dispute.held_minor, booked.dispute.money.amount_minor) == (300, 1_000)
    whole = replace(refunded, status=Status.REFUNDED, refunded_minor=1_000)
    assert opened(whole, NEWS, UUID(int=2)).transfers == ()


@pytest.mark.parametrize(
    ("end", "kind", "credit", "left"),
    [
        (DisputeStatus.WON, "DISPUTE_WON", "merchant:usr-1:EUR", 1_000),
        (DisputeStatus.LOST, "DISPUTE_LOST", "equity:stripe:EUR", 0),
    ],
)
def test_a_dispute_ends_once(end, kind, credit, left):
    booked = opened(CHARGE, NEWS, UUID(int=2))
    ended = after_news(Booked(booked.dispute, booked.charge), end)
    assert moved(ended) == [(kind, "disputed:stripe:EUR", credit, 1_000)]
    assert ended.charge.refundable_minor == left
    for later in DisputeStatus:
        again = Booked(ended.dispute, ended.charge)
        assert after_news(again, later) == again


def test_an_end_that_comes_first_opens_and_ends_at_once():
    ended = after_news(opened(CHARGE, NEWS, UUID(int=2)), DisputeStatus.LOST)
    assert [one.kind for one in ended.transfers] == ["DISPUTE_HOLD", "DISPUTE_LOST"]


@pytest.mark.parametrize("provider", ["stripe", "adyen"])
@pytest.mark.parametrize("end", ["won", "lost"])
async def test_a_providers_webhooks_open_and_end_a_dispute(world, provider, end):
    other = {"stripe": "adyen", "adyen": "stripe"}[provider]
    # A soft decline at the other one leads here, whichever is drawn.
    paid = (await world.pay(source=f"tok_soft_{other}")).json()
    assert paid["status"] == "success"
    transaction_id = paid["transactionId"]
    await world.ends(transaction_id, "CAPTURED")
    mock = world.mocks[provider]

    async def has(status):
        path, reader = f"/admin/charges/{transaction_id}", signed_in("ops.read")
        found = (await world.http.get(path, headers=reader)).json()
        return found if [one["status"] for one in found["disputes"]] == [status] else None

    mock.switch("webhook_twice")
    mock.dispute(transaction_id, "needs_response")
    found = await until(lambda: has("OPEN"))
    assert found["disputed_minor"] == 1_000
    refused = await world.http.post(f"/api/v1/payments/{transaction_id}/refunds", json={})
    assert (refused.status_code, refused.json()["error"]) == (409, "More than is left to refund")
    mock.dispute(transaction_id, end)
    found = await until(lambda: has(end.upper()))
    assert found["disputed_minor"] == (0 if end == "won" else 1_000)
    response = await world.http.get("/admin/check", headers=signed_in("ops.read"))
    assert [
        one for one in response.json()["violations"] if one.get("payment_id") == found["id"]
    ] == []
