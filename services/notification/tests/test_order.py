"""Messages of one payment go out in its order, and a dead challenge's code not at all."""

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
    """Work off a channel until nothing changes, by several instances at once."""
    for _ in range(12):
        await asyncio.gather(*[world.deliver(channel) for _ in range(instances)])
        await world.later()


def subjects(world):
    """What the customer's mailbox shows, in the order in which it came."""
    return [world.mails.kept[name].subject for name in dict.fromkeys(world.mails.given)]


def codes(world):
    return [world.texts.kept[name].text.reveal()[:6] for name in world.texts.given]


async def statuses(world):
    return Counter((row["template"], row["status"]) for row in await world.rows(PAYMENT))


@pytest.mark.parametrize("instances", [1, 2])
@pytest.mark.parametrize("events", [(CONFIRMED, RETURNED), (RETURNED, CONFIRMED)])
async def test_returned_is_never_told_before_confirmed(customer, events, instances):
    for event in events:
        await customer.tell(event)
        await deliver_all(customer, "email", instances)
    assert subjects(customer) == ["Payment confirmed", "Payment returned"]


@pytest.mark.parametrize("instances", [1, 2])
async def test_the_order_holds_through_hours_without_the_provider(customer, instances):
    customer.mails.is_down = True
    await customer.tell(RETURNED)
    await deliver_all(customer, "email", instances)
    await customer.tell(CONFIRMED)
    await deliver_all(customer, "email", instances)
    customer.mails.is_down = False
    await deliver_all(customer, "email", instances)
    assert subjects(customer) == ["Payment confirmed", "Payment returned"]
    assert await statuses(customer) == {
        ("confirmed", "DELIVERED"): 1,
        ("returned", "DELIVERED"): 1,
    }


async def test_another_payments_message_waits_for_nobody(customer):
    customer.mails.is_down = True
    await customer.tell(CONFIRMED)
    await customer.deliver("email")
    customer.mails.is_down = False
    await customer.tell(event_of(PaymentDeclined, payment_id=UUID(int=9)))
    await customer.deliver("email")
    assert "Payment declined" in subjects(customer)


async def test_a_superseded_code_is_dropped_counted_and_never_sent(customer):
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
    told = {event["delivery_id"]: (event["result"], event["obsolete"]) for event in events}
    assert told[str(delivery_id_of(first, "sms"))] == ("expired", True)


@pytest.mark.parametrize("result", ["valid", "locked", "expired"])
@pytest.mark.parametrize("known_first", [True, False], ids=["told first", "told later"])
async def test_the_code_of_a_challenge_that_is_over_is_not_sent(customer, result, known_first):
    if known_first:
        await customer.verify(over(FIRST, result))
    await customer.challenge(code(1, FIRST))
    await customer.verify(over(FIRST, result))
    await customer.deliver("sms")
    assert codes(customer) == []
    (row,) = await customer.rows(PAYMENT)
    assert (row["status"], row["reason"]) == ("OBSOLETE", "challenge_over")


async def test_a_wrong_code_ends_nothing_while_attempts_are_left(customer):
    await customer.challenge(code(1, FIRST))
    wrong = event_of(Verified, challenge_id=FIRST, result="invalid", challenge_over=False)
    await customer.verify(wrong)
    await customer.deliver("sms")
    assert codes(customer) == ["111111"]


@pytest.mark.parametrize("outcome", [PaymentConfirmed, PaymentDeclined])
async def test_the_code_of_a_decided_payment_is_not_sent(customer, outcome):
    await customer.challenge(code(1, FIRST))
    await customer.tell(event_of(outcome))
    await customer.deliver("sms")
    assert codes(customer) == []


async def test_a_code_waits_for_an_earlier_one_that_is_on_its_way_elsewhere(customer):
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


async def test_a_message_without_a_contact_ends_at_once_and_lets_the_next_one_go(world):
    await world.tell(CONFIRMED, RETURNED)
    await deliver_all(world, "email")
    rows = await world.rows(PAYMENT)
    assert {(row["status"], row["reason"]) for row in rows} == {("REFUSED", "no_contact")}
    assert max(row["tries"] for row in rows) == 1


async def test_a_user_whose_codes_are_locked_is_told_by_mail_and_so_is_the_unlocking(customer):
    customer.mails.is_down = True
    for is_locked in (True, False):
        await customer.tell(event_of(CodesLockChanged, is_locked=is_locked))
        await customer.deliver("email")
    customer.mails.is_down = False
    await deliver_all(customer, "email")
    assert subjects(customer) == ["Codes locked", "Codes unlocked"]
    assert not customer.texts.given
    assert customer.told() == []
    records = [orjson.loads(one.value) for one in customer.broker.topics["audit.recorded.v1"]]
    told = [(one["action"], one["about"]) for one in records]
    assert told == [("NOTICE_DELIVERED", "usr-456")] * 2


async def test_a_notice_holds_up_no_message_of_the_payment(customer):
    await customer.challenge(code(1, FIRST))
    await customer.tell(event_of(CodesLockChanged))
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


def held(delivery, *siblings, together=(), now=NOON):
    around = Surroundings(siblings={delivery.payment_id: [*siblings, sibling(delivery)]})
    return held_back(delivery, around, together, now)


@pytest.mark.parametrize(
    ("delivery", "siblings", "kind"),
    [
        pytest.param(CONFIRMED_MAIL, [], None, id="nothing before it"),
        pytest.param(RETURNED_MAIL, [], Kind.NOT_YET, id="returned, and confirmed unheard of"),
        pytest.param(RETURNED_MAIL, [sibling(CONFIRMED_MAIL)], Kind.NOT_YET, id="still queued"),
        pytest.param(
            RETURNED_MAIL, [sibling(CONFIRMED_MAIL, Status.REFUSED)], None, id="refused is an end"
        ),
        pytest.param(CONFIRMED_MAIL, [sibling(RETURNED_MAIL)], None, id="before what follows it"),
        pytest.param(CONFIRMED_MAIL, [sibling(FIRST_CODE)], None, id="a code that will not go"),
        pytest.param(
            CONFIRMED_MAIL, [sibling(FIRST_CODE, in_flight=True)], Kind.NOT_YET, id="one that goes"
        ),
        pytest.param(FIRST_CODE, [sibling(SECOND_CODE)], Kind.OBSOLETE, id="superseded"),
        pytest.param(SECOND_CODE, [sibling(FIRST_CODE)], None, id="the live one"),
    ],
)
def test_what_stands_in_a_messages_way(delivery, siblings, kind):
    found = held(delivery, *siblings)
    assert (found and found.kind) == kind


def test_what_is_due_together_is_sent_by_nobody_else():
    first = sibling(FIRST_CODE, in_flight=True)
    assert held(SECOND_CODE, first, together={FIRST_CODE.id, SECOND_CODE.id}) is None
    assert held(SECOND_CODE, first).kind is Kind.NOT_YET


def test_a_message_waits_as_long_as_the_one_before_it_and_a_second():
    found = held(RETURNED_MAIL, sibling(CONFIRMED_MAIL, due_s=300))
    assert found.again_at == NOON + timedelta(seconds=301)


@pytest.mark.parametrize(("age_s", "wait_s"), [(0, 1), (60, 30), (7200, 300)])
def test_what_came_out_of_order_is_looked_at_ever_more_seldom(age_s, wait_s):
    now = NOON + timedelta(seconds=age_s)
    assert held(RETURNED_MAIL, now=now).again_at == now + timedelta(seconds=wait_s)
