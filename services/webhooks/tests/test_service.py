"""The whole service: from a change of a payment to a verified message at an endpoint."""

import asyncio
import contextlib
import os
import signal
import sys

import psycopg
import pytest
from standardwebhooks.webhooks import Webhook
from webhooks_world import SETTLED, change, until, world_of

from testkit.operators import signed_in
from webhooks.routes import PATH

pytestmark = pytest.mark.stack


def webhook_ids(hostile):
    return [one.headers["webhook-id"] for one in hostile.received]


def received(hostile, number=0):
    return hostile.received[number].headers, hostile.received[number].body


async def test_a_change_arrives_once_signed_with_its_sequence_and_the_status_of_now(world, hostile):
    endpoint = await world.add(hostile.url("/good"), event_types=["payment.confirmed"])
    twice = change("signed")
    await world.publish(
        twice, twice, change("signed", SETTLED, 4), change("other", user_id="usr-9")
    )
    await until(lambda: hostile.received)

    headers, body = received(hostile)
    payload = Webhook(endpoint["secret"]).verify(body, headers)
    assert (payload["type"], payload["data"]["transaction_id"]) == (
        "payment.confirmed",
        "tx-signed",
    )
    assert payload["data"]["sequence"] == 2
    (delivery,) = await until(lambda: world.deliveries(endpoint["id"], status="DELIVERED"))
    assert (delivery["webhook_id"], delivery["last_status"]) == (headers["webhook-id"], 204)

    path, payment_id = "/admin/payment-deliveries", twice.payment_id
    operator = signed_in("ops.read")
    seen = await world.http.get(path, params={"payment_id": payment_id}, headers=operator)
    # The owner has endpoints of other tests, too.
    (shown,) = (one for one in seen.json()["deliveries"] if one["url"] == hostile.url("/good"))
    assert (shown["status"], shown["last_status"]) == ("DELIVERED", 204)
    refused = await world.http.get(path, params={"payment_id": payment_id})
    assert refused.status_code == 401


async def test_a_message_is_sent_again_under_its_id_and_a_test_message_under_its_own(
    world, hostile
):
    endpoint = await world.add(hostile.url("/good?again"))
    address = f"{PATH}/{endpoint['id']}"
    test = (await world.http.post(f"{address}/test")).json()
    await until(lambda: world.deliveries(endpoint["id"], status="DELIVERED"))
    again = await world.http.post(f"{address}/deliveries/{test['delivery_id']}/redeliver")
    await until(lambda: len(hostile.received) == 2)

    assert again.json() == test
    assert webhook_ids(hostile) == [test["webhook_id"]] * 2
    assert hostile.types() == ["webhook.test"] * 2


async def test_during_a_rotation_both_secrets_verify_and_after_it_the_new_one_alone(world, hostile):
    old = await world.add(hostile.url("/good?rotated"))
    address = f"{PATH}/{old['id']}"
    new = (await world.http.post(f"{address}/rotate-secret", json={})).json()
    await world.http.post(f"{address}/test")
    await until(lambda: hostile.received)
    headers, body = received(hostile)
    for secret in (old["secret"], new["secret"]):
        assert Webhook(secret).verify(body, headers)
    last = (await world.http.post(f"{address}/rotate-secret", json={"overlap_s": 0})).json()
    await world.http.post(f"{address}/test")
    await until(lambda: len(hostile.received) == 2)
    headers, body = received(hostile, 1)
    assert Webhook(last["secret"]).verify(body, headers)
    assert len(headers["webhook-signature"].split()) == 1


async def test_no_endpoint_that_misbehaves_holds_up_another_one(world, hostile):
    world.as_user("usr-lanes")
    bad = [
        "/hangs", "/fails", "/redirects", "/large-body", "/large-head", "/trickles", "/rubbish",
        "/early-close",
    ]  # fmt: skip
    for path in bad:
        await world.add(hostile.url(path))
    good = await world.add(hostile.url("/good?lanes"))
    await world.publish(*[change(f"lane-{n}", user_id="usr-lanes") for n in range(40)])
    # One call of the endpoint that hangs takes 2 s; 40 would take 80.
    await until(lambda: len(hostile.received) == 40, within_s=10)

    assert all(hostile.calls[path] >= 1 for path in bad)
    assert hostile.calls["/hangs"] <= 2
    assert len(set(webhook_ids(hostile))) == 40

    async def are_delivered():
        return len(await world.deliveries(good["id"], status="DELIVERED")) == 40

    await until(are_delivered)


async def test_an_endpoint_that_is_gone_is_off_until_its_owner_resumes_it(world, hostile):
    endpoint = await world.add(hostile.url("/gone"))
    address = f"{PATH}/{endpoint['id']}"
    await world.publish(change("gone"))

    async def is_off():
        return not (await world.http.get(address)).json()["is_on"]

    await until(is_off)
    shown = (await world.http.get(address)).json()
    assert (shown["off_reason"], shown["failed_deliveries"]) == ("gone", 1)
    await world.publish(change("gone", SETTLED, 4))
    (missed,) = await until(lambda: world.deliveries(endpoint["id"], status="PENDING"))
    assert hostile.calls["/gone"] == 1
    url = hostile.url("/good?resumed")
    assert (await world.http.patch(address, json={"url": url, "is_on": True})).status_code == 200
    await until(lambda: hostile.received)
    assert webhook_ids(hostile) == [missed["webhook_id"]]


async def test_after_a_kill_in_the_middle_of_a_call_the_message_comes_again_under_its_id(
    settings, hostile, stack, webhooks_database, tmp_path
):
    # A real process: what it does not get to do at its end must not be needed.
    environment = os.environ | {"WEBHOOK_LOCAL_TARGETS": "true", "PORT": "23041"}
    killed = await asyncio.create_subprocess_exec(sys.executable, "-m", "webhooks", env=environment)
    try:
        async with world_of(settings, stack.brokers) as world:
            endpoint = await world.add(hostile.url("/hangs"))
        with psycopg.connect(webhooks_database.owner_dsn, autocommit=True) as owner:
            add = """insert into delivery (id, endpoint_id, type, occurred_at, retry_until, due_at)
                values (gen_random_uuid(), %s, 'webhook.test', now(), now() + interval '1 day',
                        now()) returning id"""
            (delivery_id,) = owner.execute(add, (endpoint["id"],)).fetchone()
            await until(lambda: hostile.calls["/hangs"], within_s=30)
            killed.send_signal(signal.SIGKILL)
            await killed.wait()
            owner.execute(
                "update endpoint set url = %s where id = %s",
                (hostile.url("/good?killed"), endpoint["id"]),
            )
            owner.execute("update delivery set lease_until = now() where id = %s", (delivery_id,))
        async with world_of(settings, stack.brokers):
            await until(lambda: hostile.received)
    finally:
        with contextlib.suppress(ProcessLookupError):
            killed.kill()
        await killed.wait()
    assert webhook_ids(hostile) == [f"msg_{delivery_id.hex}"]
