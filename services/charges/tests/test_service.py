"""The whole service, from the printed request to a provider's books."""

import asyncio
import contextlib
import os
import signal
import sys
from uuid import UUID

import psycopg
import pytest
from charges_world import until, world_of

from payment_schemas.events.charges import ChargeChanged
from testbed.service import published_events
from testkit.operators import signed_in

pytestmark = pytest.mark.stack


async def check(world):
    """No invariant of the charges and their ledger is violated."""
    response = await world.http.get("/admin/check", headers=signed_in("ops.read"))
    assert response.status_code == 200, response.text
    assert response.json()["violations"] == []


async def test_the_printed_request_gets_a_response_of_the_printed_shape(world, stack):
    response = await world.pay()
    body = response.json()
    assert (response.status_code, list(body)) == (
        200,
        ["transactionId", "provider", "status", "riskScore", "explanation"],
    )
    assert (body["status"], body["riskScore"]) == ("success", None)
    assert body["provider"] in world.mocks
    assert "Manual review recommended" in body["explanation"]
    read = await world.ends(body["transactionId"], "CAPTURED")
    assert (read["amount"], read["currency"], read["captured"]) == (1000, "USD", 1000)
    assert len(world.taken(body["transactionId"])) == 1
    charge_id = UUID(hex=body["transactionId"].removeprefix("txn_"))
    events = await published_events(stack.brokers, ChargeChanged, charge_id, 2)
    assert events[0].status == "CREATED"
    assert events[1].status in {"AUTHORIZED", "CAPTURED"}
    await check(world)


async def test_a_repeat_of_a_key_charges_once_and_gets_the_same_bytes(world):
    first, *others = await asyncio.gather(*[world.pay(key="k-1") for _ in range(5)])
    assert all(one.status_code in {200, 409} for one in (first, *others))
    again = await world.pay(key="k-1")
    replies = {one.content for one in (first, *others, again) if one.status_code == 200}
    assert replies == {again.content}
    assert len(world.taken(again.json()["transactionId"])) == 1
    assert (await world.pay(key="k-1", amount=2000)).status_code == 422


async def test_a_soft_decline_is_tried_at_one_other_provider_and_a_hard_one_is_final(world):
    retried = 0
    for declines, accepts in (("stripe", "adyen"), ("adyen", "stripe")):
        for _ in range(6):
            paid = (await world.pay(source=f"tok_soft_{declines}")).json()
            assert (paid["status"], paid["provider"]) == ("success", accepts)
            tried = len(world.mocks[declines].payments(paid["transactionId"]))
            assert tried <= 1
            retried += tried
    # Whichever provider is preferred, one of the two declines first.
    assert retried

    both = (await world.pay(source="tok_soft")).json()
    assert both["status"] == "declined"
    at = [len(mock.payments(both["transactionId"])) for mock in world.mocks.values()]
    assert at == [1, 1]

    hard = await world.pay(source="tok_hard")
    assert (hard.status_code, hard.json()["status"]) == (402, "declined")
    assert sum(len(m.payments(hard.json()["transactionId"])) for m in world.mocks.values()) == 1

    kept = await world.pay("/pay", source="tok_soft", retry=False)
    assert sum(len(m.payments(kept.json()["transactionId"])) for m in world.mocks.values()) == 1


@pytest.mark.parametrize("fault", ["lose_request", "error", "slow"])
async def test_a_call_without_a_reply_is_enquired_about_and_charges_once(hurried, fault):
    for mock in hurried.mocks.values():
        mock.switch(fault)
    replies = await asyncio.gather(*[hurried.pay(key=f"{fault}-{n}") for n in range(4)])
    assert {one.status_code for one in replies} == {202}
    assert {one.json()["status"] for one in replies} == {"processing"}
    for mock in hurried.mocks.values():
        mock.heal()
    for one in replies:
        transaction_id = one.json()["transactionId"]
        assert one.headers["location"] == f"/api/v1/payments/{transaction_id}"
        await hurried.ends(transaction_id, "CAPTURED")
        assert len(hurried.taken(transaction_id)) == 1
    await check(hurried)


async def test_a_webhook_ends_what_never_gets_a_reply(hurried):
    for mock in hurried.mocks.values():
        mock.switch("lose_answer")
    replies = await asyncio.gather(*[hurried.pay() for _ in range(4)])
    for one in replies:
        await hurried.ends(one.json()["transactionId"], "CAPTURED")
        assert len(hurried.taken(one.json()["transactionId"])) == 1
    await check(hurried)


@pytest.mark.parametrize("fault", ["webhook_before_reply", "webhook_twice", "webhook_late"])
async def test_a_webhook_does_no_harm_whenever_it_comes(world, fault):
    for mock in world.mocks.values():
        mock.switch(fault)
    replies = await asyncio.gather(*[world.pay() for _ in range(6)])
    assert {one.json()["status"] for one in replies} == {"success"}
    for one in replies:
        await world.ends(one.json()["transactionId"], "CAPTURED")
        assert len(world.taken(one.json()["transactionId"])) == 1
    await check(world)


async def test_refunds_at_one_time_never_exceed_what_was_captured(world):
    for source in ("tok_hard_stripe", "tok_hard_adyen"):
        # Each provider once: the other one declines this source for good.
        paid = await until(lambda s=source: accepted(world, s))
        address = f"/api/v1/payments/{paid}"
        await world.ends(paid, "CAPTURED")
        asked = [world.http.post(f"{address}/refunds", json={"amount": 300}) for _ in range(5)]
        replies = await asyncio.gather(*asked)
        assert sorted(one.status_code for one in replies) == [202, 202, 202, 409, 409]
        data = await until(lambda p=paid: refunded(world, p, 900))
        assert data["status"] == "PARTIALLY_REFUNDED"
        assert (await world.http.post(f"{address}/refunds", json={})).json()["data"][
            "amount"
        ] == 100
        await world.ends(paid, "REFUNDED")
        (at_provider,) = world.taken(paid)
        assert sum(at_provider["refunds"].values()) == 1000
        refused = await world.http.post(f"{address}/refunds", json={"amount": 1})
        assert (refused.status_code, refused.json()["error"]) == (
            409,
            "More than is left to refund",
        )
        cancelled = await world.http.post(f"{address}/cancel")
        assert (cancelled.status_code, cancelled.json()["error"]) == (
            409,
            "Already captured; refund it",
        )
    await check(world)


async def accepted(world, source):
    body = (await world.pay(source=source)).json()
    return body["transactionId"] if body["status"] == "success" else None


async def refunded(world, transaction_id, amount):
    data = await world.read(transaction_id)
    return data if data["refunded"] == amount else None


async def test_an_authorized_payment_is_captured_later_or_cancelled(world):
    for act, status in (("capture", "CAPTURED"), ("cancel", "CANCELLED")):
        for _ in range(3):
            held = (await world.pay("/pay", capture=False)).json()
            assert held["status"] == "authorized"
            address = f"/api/v1/payments/{held['transactionId']}"
            assert (await world.http.post(f"{address}/{act}")).status_code == 200
            await world.ends(held["transactionId"], status)
    await check(world)


async def test_a_large_payment_without_a_score_is_held_until_a_person_approves(world):
    for is_approved, status in ((True, "CAPTURED"), (False, "CANCELLED")):
        held = (await world.pay(amount=20_000)).json()
        transaction_id = held["transactionId"]
        assert (held["status"], held["riskScore"]) == ("review", None)
        assert (await world.read(transaction_id))["status"] == "AUTHORIZED"
        own = await world.http.post(f"/api/v1/payments/{transaction_id}/capture")
        assert (own.status_code, own.json()["error"]) == (409, "Waits for review")
        body = {"approve": is_approved, "note": "known donor"}
        path = f"/admin/reviews/{transaction_id}"
        operator = signed_in("ops.read", "cases.approve")
        assert (
            await world.http.post(path, json=body, headers=signed_in("ops.read"))
        ).status_code == 403
        assert (await world.http.post(path, json=body, headers=operator)).status_code == 200
        await world.ends(transaction_id, status)
        assert (await world.http.post(path, json=body, headers=operator)).status_code == 409
    listed = (await world.http.get("/admin/reviews", headers=operator)).json()["reviews"]
    assert transaction_id not in {one["transactionId"] for one in listed}


async def test_a_provider_that_is_down_moves_the_traffic(hurried):
    hurried.mocks["stripe"].switch("down")
    replies = [await hurried.pay(currency="GBP") for _ in range(30)]
    after = [(one.json()["status"], one.json()["provider"]) for one in replies[15:]]
    assert after.count(("success", "adyen")) >= 12
    body = {"amount": 1000, "currency": "GBP"}
    dry = (await hurried.http.post("/route", json=body)).json()
    assert set(dry) == {"provider", "propensity", "segment", "reasons"}
    why = dry["reasons"]["stripe"]
    assert why == "breaker_open" or why["probability"] <= 0.2
    # Nothing that is unknown at the one was sent to the other.
    for one in replies:
        assert len(hurried.taken(one.json()["transactionId"])) <= 1


async def test_what_is_wrong_is_named(world):
    for fields, error in [
        ({"amount": 10.5}, "Invalid field: amount"),
        ({"amount": 0}, "Invalid field: amount"),
        ({"currency": "XXX"}, "Invalid field: currency"),
        ({"source": "4242424242424242"}, "Invalid field: source"),
        ({"email": "nobody"}, "Invalid field: email"),
        ({"cvc": "123"}, "Invalid field: cvc"),
        ({"metadata": {"order": "4242 4242 4242 4242"}}, "Invalid field: metadata.order"),
    ]:
        response = await world.pay(**fields)
        assert (response.status_code, response.json()["error"]) == (400, error)
    assert (await world.http.get("/api/v1/payments/txn_abc123")).status_code == 404
    paid = (await world.pay()).json()["transactionId"]
    world.as_user("usr-other")
    assert (await world.http.get(f"/api/v1/payments/{paid}")).status_code == 404
    assert (await world.http.post(f"/api/v1/payments/{paid}/refunds", json={})).status_code == 404


async def test_a_webhook_without_a_valid_signature_is_refused(world):
    for provider, body in [
        ("stripe", {"id": "evt_1", "type": "payment_intent.succeeded"}),
        ("adyen", {"notificationItems": [{"NotificationRequestItem": {}}]}),
        ("adyen", []),
    ]:
        response = await world.http.post(f"/api/v1/providers/{provider}", json=body)
        assert (response.status_code, response.json()) == (401, {"error": "Invalid signature"})
    assert (await world.http.post("/api/v1/providers/other", json={})).status_code == 404


async def test_after_a_kill_in_the_middle_of_a_call_the_customer_is_charged_once(
    settings, port, mocks, charges_database
):
    # A real process: what it does not get to do at its end must not be needed.
    own = {
        "PORT": str(port),
        "STRIPE_URL": settings.stripe_url,
        "ADYEN_URL": settings.adyen_url,
        "JWKS_URL": settings.jwks_url,
        "TOKEN_ISSUER": settings.token_issuer,
        "TOKEN_AUDIENCE": settings.token_audience,
    }
    command = [sys.executable, "-m", "charges"]
    killed = await asyncio.create_subprocess_exec(*command, env=os.environ | own)
    try:
        with psycopg.connect(charges_database.owner_dsn, autocommit=True) as owner:
            for mock in mocks.values():
                mock.switch("slow")
            add = """insert into charge (id, user_id, amount_minor, currency, source, email,
                    status, goal, next_step, review, may_retry, attempt, tries, version, due_at)
                values (gen_random_uuid(), 'usr-456', 1000, 'USD', 'tok_test', 'a@example.com',
                    'CREATED', 'CAPTURE', 'AUTHORIZE', 'LISTED', true, 1, 0, 1, now())
                returning id"""
            (charge_id,) = owner.execute(add).fetchone()
            state = "select status from charge where id = %s"
            await until(
                lambda: owner.execute(state, (charge_id,)).fetchone()[0] == "AUTHORIZING", 60
            )
            killed.send_signal(signal.SIGKILL)
            await killed.wait()
            for mock in mocks.values():
                mock.heal()
            owner.execute("update charge set lease_until = now() where id = %s", (charge_id,))
        async with world_of(settings, port, mocks) as world:
            transaction_id = f"txn_{charge_id.hex}"
            await world.ends(transaction_id, "CAPTURED")
            assert len(world.taken(transaction_id)) == 1
            await check(world)
    finally:
        with contextlib.suppress(ProcessLookupError):
            killed.kill()
        await killed.wait()
