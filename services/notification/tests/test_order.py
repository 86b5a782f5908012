"""Messages of one payment are sent in order; the code of an ended challenge is not sent."""

import asyncio
from collections import Counter
from datetime import timedelta
from uuid import UUID

import orjson
import pytest
from notification_world import challenged

from notification.domain import (
    Delivery,
    Kind,
    Sibling,
    Status,
    Surroundings,
    code_delivery,
    delivery_id_of,
    held_back,
    outcome_delivery,
)
from payment_schemas.events.confirmation import PaymentConfirmed, PaymentDeclined
from payment_schemas.events.otp import CodesLockChanged, Verified
from payment_schemas.events.settlement import SettlementUpdated
from testkit.events import NOON, PAYMENT, event_of

FIRST, SECOND = UUID(int=0xC1, version=4), UUID(int=0xC2, version=4)
CONFIRMED = event_of(PaymentConfirmed)
RETURNED = event_of(SettlementUpdated, status="REJECTED")


def code(number, challenge_id, text="111111"):
    return challenged(text, challenge_number=number, challenge_id=challenge_id)


def over(challenge_id, result="valid"):
    return event_of(Verified, challenge_id=challenge_id, result=result, challenge_over=True)


@pytest.fixture
async def customer(world):
    await world.put_contacts()
    return world


async def deliver_all(world, channel, instances=1):
    """Deliver a channel's messages with retries, by several instances at once."""
    for _ in range(12):
        await asyncio.gather(*[world.deliver(channel) for _ in range(instances)])
        await world.later()


def subjects(world):
    """Return the subjects of the customer's e-mails, in the order of arrival."""
    return [world.mails.kept[name].subject for name in dict.fromkeys(world.mails.given)]


def codes(world):
    return [world.texts.kept[name].text.reveal()[:6] for name in world.texts.given]


async def statuses(world):
    return Counter((row["template"], row["status"]) for row in await world.rows(PAYMENT))


@pytest.mark.parametrize("instances", [1, 2])
@pytest.mark.parametrize("events", [(CONFIRMED, RETURNED), (RETURNED, CONFIRMED)])
async def test_returned_is_never_sent_before_confirmed(customer, events, instances):
    for event in events:
        await customer.add_outcomes(event)
        await deliver_all(customer, "email", instances)
    assert subjects(customer) == ["Payment confirmed", "Payment returned"]


@pytest.mark.parametrize("instances", [1, 2])
async def test_the_order_holds_over_an_outage_of_the_provider(customer, instances):
    customer.mails.is_down = True
    await customer.add_outcomes(RETURNED)
    await deliver_all(customer, "email", instances)
    await customer.add_outcomes(CONFIRMED)
    await deliver_all(customer, "email", instances)
    customer.mails.is_down = False
    await deliver_all(customer, "email", instances)
    assert subjects(customer) == ["Payment confirmed", "Payment returned"]
    assert await statuses(customer) == {
        ("confirmed", "DELIVERED"): 1,
        ("returned", "DELIVERED"): 1,
    }


async def test_messages_of_other_payments_do_not_wait(customer):
    customer.mails.is_down = True
    await customer.add_outcomes(CONFIRMED)
    await customer.deliver("email")
    customer.mails.is_down = False
    await customer.add_outcomes(event_of(PaymentDeclined, payment_id=UUID(int=9)))
    await customer.deliver("email")
    assert "Payment declined" in subjects(customer)


async def test_a_superseded_code_is_never_sent_and_reported_as_obsolete(customer):
    customer.texts.is_down = True
    (first,) = await customer.challenge(code(1, FIRST, "111111"))
    await customer.deliver("sms")
    customer.texts.is_down = False
    await customer.challenge(code(2, SECOND, "222222"))
    await deliver_all(customer, "sms", instances=2)
    assert codes(customer) == ["222222"]
    assert await statuses(customer) == {("code", "OBSOLETE"): 1, ("code", "DELIVERED"): 1}
    topic = customer.broker.topics["notification.delivered.v1"]
    events = [orjson.loads(one.value) for one in topic]
    results = {event["delivery_id"]: (event["result"], event["obsolete"]) for event in events}
    assert results[str(delivery_id_of(first, "sms"))] == ("expired", True)


@pytest.mark.parametrize("result", ["valid", "locked", "expired"])
@pytest.mark.parametrize("end_first", [True, False], ids=["end first", "code first"])
async def test_the_code_of_an_ended_challenge_is_not_sent(customer, result, end_first):
    if end_first:
        await customer.verify(over(FIRST, result))
    await customer.challenge(code(1, FIRST))
    await customer.verify(over(FIRST, result))
    await customer.deliver("sms")
    assert codes(customer) == []
    (row,) = await customer.rows(PAYMENT)
    assert (row["status"], row["reason"]) == ("OBSOLETE", "challenge_over")


async def test_a_wrong_code_does_not_end_a_challenge_with_attempts_left(customer):
    await customer.challenge(code(1, FIRST))
    wrong = event_of(Verified, challenge_id=FIRST, result="invalid", challenge_over=False)
    await customer.verify(wrong)
    await customer.deliver("sms")
    assert codes(customer) == ["111111"]


@pytest.mark.parametrize("outcome", [PaymentConfirmed, PaymentDeclined])
async def test_the_code_of_a_decided_payment_is_not_sent(customer, outcome):
    await customer.challenge(code(1, FIRST))
    await customer.add_outcomes(event_of(outcome))
    await customer.deliver("sms")
    assert codes(customer) == []


async def test_a_code_waits_for_an_earlier_code_that_another_worker_sends(customer):
    await customer.challenge(code(1, FIRST, "111111"))
    sending, sent = asyncio.Event(), asyncio.Event()

    async def slowly(batch):
        sending.set()
        await sent.wait()
        return await customer.sender("sms")(batch)

    slow = asyncio.create_task(customer.deliver("sms", gather=slowly))
    await sending.wait()
    await customer.challenge(code(2, SECOND, "222222"))
    await customer.deliver("sms")
    assert codes(customer) == []
    sent.set()
    await slow
    await deliver_all(customer, "sms")
    assert codes(customer) == ["222222"]


async def test_a_message_without_a_contact_ends_at_once_and_does_not_block_the_next(world):
    await world.add_outcomes(CONFIRMED, RETURNED)
    await deliver_all(world, "email")
    rows = await world.rows(PAYMENT)
    assert {(row["status"], row["reason"]) for row in rows} == {("REFUSED", "no_contact")}
    assert max(row["tries"] for row in rows) == 1


async def test_locking_and_unlocking_of_codes_are_mailed_to_the_user(customer):
    customer.mails.is_down = True
    for is_locked in (True, False):
        await customer.add_outcomes(event_of(CodesLockChanged, is_locked=is_locked))
        await customer.deliver("email")
    customer.mails.is_down = False
    await deliver_all(customer, "email")
    assert subjects(customer) == ["Codes locked", "Codes unlocked"]
    assert not customer.texts.given
    assert customer.results() == []
    records = [orjson.loads(one.value) for one in customer.broker.topics["audit.recorded.v1"]]
    notices = [(one["action"], one["about"]) for one in records]
    assert notices == [("NOTICE_DELIVERED", "usr-456")] * 2


async def test_a_lock_notice_delays_no_message_of_the_payment(customer):
    await customer.challenge(code(1, FIRST))
    await customer.add_outcomes(event_of(CodesLockChanged))
    await customer.deliver("sms")
    assert codes(customer) == ["111111"]


def sibling(delivery: Delivery, status=Status.QUEUED, *, in_flight=False, due_s=0.0):
    due_at = NOON + timedelta(seconds=due_s)
    number = delivery.challenge_number
    return Sibling(
        delivery.id, delivery.payment_id, delivery.template, number, status, due_at, in_flight
    )


CONFIRMED_MAIL = outcome_delivery(CONFIRMED, UUID(int=1), NOON)
RETURNED_MAIL = outcome_delivery(RETURNED, UUID(int=2), NOON)
FIRST_CODE = code_delivery(code(1, FIRST), UUID(int=3), NOON)
SECOND_CODE = code_delivery(code(2, SECOND), UUID(int=4), NOON)


def held(delivery, *siblings, in_slice=(), now=NOON):
    known = Surroundings(siblings={delivery.payment_id: [*siblings, sibling(delivery)]})
    return held_back(delivery, known, in_slice, now)


@pytest.mark.parametrize(
    ("delivery", "siblings", "kind"),
    [
        pytest.param(CONFIRMED_MAIL, [], None, id="no earlier message"),
        pytest.param(RETURNED_MAIL, [], Kind.NOT_YET, id="confirmed has not arrived"),
        pytest.param(RETURNED_MAIL, [sibling(CONFIRMED_MAIL)], Kind.NOT_YET, id="not yet ended"),
        pytest.param(
            RETURNED_MAIL, [sibling(CONFIRMED_MAIL, Status.REFUSED)], None, id="confirmed refused"
        ),
        pytest.param(CONFIRMED_MAIL, [sibling(RETURNED_MAIL)], None, id="a later message"),
        pytest.param(CONFIRMED_MAIL, [sibling(FIRST_CODE)], None, id="a queued code"),
        pytest.param(
            CONFIRMED_MAIL, [sibling(FIRST_CODE, in_flight=True)], Kind.NOT_YET, id="in flight"
        ),
        pytest.param(FIRST_CODE, [sibling(SECOND_CODE)], Kind.OBSOLETE, id="superseded"),
        pytest.param(SECOND_CODE, [sibling(FIRST_CODE)], None, id="the latest code"),
    ],
)
def test_a_message_is_held_back_by_its_siblings(delivery, siblings, kind):
    found = held(delivery, *siblings)
    assert (found and found.kind) == kind


def test_messages_of_the_same_slice_do_not_hold_each_other_back():
    first = sibling(FIRST_CODE, in_flight=True)
    assert held(SECOND_CODE, first, in_slice={FIRST_CODE.id, SECOND_CODE.id}) is None
    assert held(SECOND_CODE, first).kind is Kind.NOT_YET


def test_a_message_waits_one_second_longer_than_the_earlier_message():
    found = held(RETURNED_MAIL, sibling(CONFIRMED_MAIL, due_s=300))
    assert found.retry_at == NOON + timedelta(seconds=301)


@pytest.mark.parametrize(("age_s", "wait_s"), [(0, 1), (60, 30), (7200, 300)])
def test_a_message_out_of_order_waits_longer_with_its_age(age_s, wait_s):
    now = NOON + timedelta(seconds=age_s)
    assert held(RETURNED_MAIL, now=now).retry_at == now + timedelta(seconds=wait_s)
