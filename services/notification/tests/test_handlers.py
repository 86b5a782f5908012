"""From the event to the customer, with providers that fail in every way."""

import asyncio

import pytest
from notification_world import CONTACT, SEALER, challenged

from notification.domain import Contact, delivery_id_of
from notification.handlers import Sender
from payment_schemas.events.confirmation import PaymentConfirmed, PaymentDeclined
from payment_schemas.events.settlement import SettlementUpdated
from payment_schemas.sealed import Personal, Sealed
from service_runtime.messages import Batch
from testkit.events import PAYMENT, event_of


async def test_a_code_is_opened_only_to_be_sent(world):
    await world.put_contacts()
    (event_id,) = await world.challenge(challenged("123456"))
    await world.deliver("sms")
    (message,) = world.texts.kept.values()
    assert message.to.reveal() == "+15550100456"
    assert message.text.reveal().startswith("123456 ")
    assert message.delivery_id == delivery_id_of(event_id, "sms")
    assert world.told() == [("sms", "code", "delivered")]
    (record,) = world.broker.topics["notification.delivered.v1"]
    assert b"123456" not in record.value


async def test_each_outcome_is_mailed_once(world):
    await world.put_contacts()
    await world.tell(
        event_of(PaymentConfirmed),
        event_of(PaymentDeclined),
        event_of(SettlementUpdated, status="REJECTED"),
        event_of(SettlementUpdated, status="SETTLED"),
    )
    assert await world.deliver("email") == 3
    await world.later()
    assert await world.deliver("email") == 1
    assert await world.deliver("email") == 0
    assert sorted(template for _, template, _ in world.told()) == [
        "confirmed",
        "declined",
        "returned",
    ]
    assert {message.to.reveal() for message in world.mails.kept.values()} == {"usr-456@example.com"}


async def test_steps_that_nobody_is_told_of_leave_nothing(world):
    await world.tell(event_of(SettlementUpdated, status="SENT"))
    assert await world.rows(PAYMENT) == []


async def test_a_bad_number_stops_nobody_else(world):
    await world.put_contacts(
        CONTACT, Contact("usr-457", Personal("+15005550001"), Personal("usr-457@example.com"))
    )
    world.texts.refuses.add("+15005550001")
    await world.challenge(challenged(), challenged(user_id="usr-457"))
    assert await world.deliver("sms") == 2
    results = sorted(result for _, _, result in world.told())
    assert results == ["delivered", "refused"]
    refused = [row for row in await world.rows(PAYMENT) if row["status"] == "REFUSED"]
    assert [row["reason"] for row in refused] == ["provider_21211"]


async def test_a_user_without_a_contact_is_refused_by_name(world):
    await world.tell(event_of(PaymentConfirmed))
    await world.deliver("email")
    (row,) = await world.rows(PAYMENT)
    assert (row["status"], row["reason"]) == ("REFUSED", "no_contact")
    assert world.told() == [("email", "confirmed", "refused")]


async def test_a_provider_that_is_down_is_tried_again_until_it_takes_the_message(world):
    await world.put_contacts()
    world.mails.is_down = True
    await world.tell(event_of(PaymentConfirmed))
    for _ in range(3):
        assert await world.deliver("email") == 1
        await world.later()
    assert world.told() == []
    world.mails.is_down = False
    await world.deliver("email")
    assert world.told() == [("email", "confirmed", "delivered")]


async def test_nothing_is_claimed_while_the_breaker_is_open(world):
    world.mails.is_open = True
    await world.tell(event_of(PaymentConfirmed))
    assert await world.deliver("email") == 0


async def test_an_expired_code_is_never_sent(world):
    await world.put_contacts()
    world.texts.is_down = True
    await world.challenge(challenged())
    for _ in range(5):
        await world.deliver("sms")
        await world.later()
    world.texts.is_down = False
    await world.deliver("sms")
    assert world.told() == [("sms", "code", "expired")]
    assert not world.texts.given


@pytest.mark.parametrize("sealed", ["no-key.AAAA", "", "nonsense"])
async def test_a_code_that_cannot_be_opened_is_refused_and_stops_nobody_else(world, sealed):
    await world.put_contacts()
    bad = challenged().model_copy(update={"sealed_code": Sealed(sealed)})
    await world.challenge(bad, challenged())
    await world.deliver("sms")
    assert sorted(result for _, _, result in world.told()) == ["delivered", "refused"]


async def test_a_worker_that_died_after_sending_sends_again_under_the_same_id(world):
    await world.put_contacts()
    await world.tell(event_of(PaymentConfirmed))

    async def die(batch: Batch):
        await Sender(world.mails, world.look, SEALER)(batch)
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await world.deliver("email", gather=die)
    await world.later()
    await world.deliver("email")
    assert (len(world.mails.given), len(world.mails.kept)) == (2, 1)
    assert world.told() == [("email", "confirmed", "delivered")]


async def test_a_redelivered_event_is_one_message(world):
    await world.put_contacts()
    event = challenged()
    (event_id,) = await world.challenge(event)
    world.clock.drawn -= 1
    assert await world.challenge(event) == [event_id]
    assert await world.deliver("sms") == 1
    assert len(world.texts.given) == 1
