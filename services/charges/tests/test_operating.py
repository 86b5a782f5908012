"""What operators see and do: charges, refunds, routing and its evaluation."""

import pytest

from payment_schemas.events.record import AuditRecorded
from testbed.service import published_events
from testkit.operators import actor, signed_in

pytestmark = pytest.mark.stack
READER = signed_in("ops.read")


async def get(world, path, **query):
    response = await world.http.get(path, params=query, headers=READER)
    assert response.status_code == 200, response.text
    return response.json()


async def captured(world, user_id, **fields):
    world.as_user(user_id)
    paid = (await world.pay(**fields)).json()["transactionId"]
    await world.ends(paid, "CAPTURED")
    return paid


async def test_operators_list_charges_and_see_one_with_its_transfers_and_choices(world):
    paid = [await captured(world, "usr-listed") for _ in range(3)]
    first = await get(world, "/admin/charges", user_id="usr-listed", limit=2)
    rest = await get(world, "/admin/charges", user_id="usr-listed", after=first["next"])
    listed = [one["transactionId"] for one in first["charges"] + rest["charges"]]
    assert listed == paid[::-1]
    one = await get(world, f"/admin/charges/{paid[0]}")
    assert (one["status"], one["captured_minor"], "email" in one) == ("CAPTURED", 1000, False)
    kinds = {transfer["kind"]: transfer["amount_minor"] for transfer in one["transfers"]}
    assert kinds["CAPTURE"] == 1000
    assert kinds["FEE"] in {39, 59}
    (choice,) = one["choices"]
    assert choice["provider"] == one["provider"]
    assert 0 < choice["propensity"] <= 1
    missing = await world.http.get("/admin/charges/txn_" + "0" * 32, headers=READER)
    assert missing.status_code == 404


async def test_the_check_gets_what_it_reads_of_every_owner(world):
    assert (await get(world, "/admin/consumed"))["topics"] == ["subject.erased.v1"]


async def test_an_operators_read_is_in_the_audit_log(world, stack):
    reader = signed_in("ops.read", name="charges-reader")
    assert (await world.http.get("/admin/routing", headers=reader)).status_code == 200
    (record,) = await published_events(stack.brokers, AuditRecorded, actor("charges-reader"))
    assert (record.action, record.about) == ("OPERATOR_READ", "/admin/routing")


async def test_an_operators_refund_is_bounded_and_in_the_audit_log(world, stack):
    paid = await captured(world, "usr-refunded")
    path = f"/admin/charges/{paid}/refunds"
    body = {"amount": 400, "note": "one of two items"}
    without = await world.http.post(path, json=body, headers=READER)
    assert without.status_code == 403
    approver = signed_in("cases.approve", name="charges-refunder")
    accepted = await world.http.post(path, json=body, headers=approver)
    assert accepted.status_code == 202, accepted.text
    too_much = await world.http.post(path, json=body | {"amount": 601}, headers=approver)
    assert (too_much.status_code, too_much.json()["error"]) == (409, "More than is left to refund")
    data = await world.ends(paid, "PARTIALLY_REFUNDED")
    assert data["refunded"] == 400
    key = actor("charges-refunder")
    (record,) = await published_events(stack.brokers, AuditRecorded, key)
    assert (record.action, record.metadata["note"]) == ("CHARGE_REFUNDED", "one of two items")


async def test_a_policy_is_evaluated_by_the_logged_choices(world):
    for _ in range(12):
        assert (await world.pay()).is_success
    found = await get(world, "/admin/routing")
    assert {"segment", "provider", "successes", "failures", "choices"} <= found["arms"][0].keys()
    assert found["breakers_open"].keys() == {"stripe", "adyen"}
    response = await world.http.post(
        "/admin/routing/evaluate",
        json={"otherwise": {"stripe": 0.5, "adyen": 0.5}},
        headers=READER,
    )
    assert response.status_code == 200, response.text
    body = response.json()
    assert body["choices"] >= 12
    assert body["is_refused"] == (body["share"] < body["least_share"])
    assert body["logged"]["low"] <= body["logged"]["value"] <= body["logged"]["high"]
    wrong = await world.http.post(
        "/admin/routing/evaluate",
        json={"otherwise": {"stripe": 2}},
        headers=READER,
    )
    assert (wrong.status_code, wrong.json()["error"]) == (400, "Invalid field: otherwise.stripe")
    nobody = await world.http.post(
        "/admin/routing/evaluate", json={"segments": {"x": {"nobody": 1}}}, headers=READER
    )
    assert (nobody.status_code, nobody.json()["details"]) == (400, "nobody")
