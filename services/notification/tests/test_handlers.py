"""From the event to the sent message, with failing providers."""

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


async def test_a_code_is_opened_only_for_sending(world):
    await world.put_contacts()
    (event_id,) = await world.challenge(challenged("123456"))
    await world.deliver("sms")
    (message,) = world.texts.kept.values()
    assert message.to.reveal() == "+15550100456"
    assert message.text.reveal().startswith("123456 ")
    assert message.delivery_id == delivery_id_of(event_id, "sms")
    assert world.results() == [("sms", "code", "delivered")]
    (record,) = world.broker.topics["notification.delivered.v1"]
    assert b"123456" not in record.value


async def test_each_outcome_is_mailed_once(world):
    await world.put_contacts()
    await world.add_outcomes(
        event_of(PaymentConfirmed),
        event_of(PaymentDeclined),
        event_of(SettlementUpdated, status="REJECTED"),
        event_of(SettlementUpdated, status="SETTLED"),
    )
    assert await world.deliver("email") == 3
    await world.later()
    assert await world.deliver("email") == 1
    assert await world.deliver("email") == 0
    assert sorted(template for _, template, _ in world.results()) == [
        "confirmed",
        "declined",
        "returned",
    ]
    assert {message.to.reveal() for message in world.mails.kept.values()} == {"usr-456@example.com"}


async def test_steps_without_a_message_store_no_delivery(world):
    await world.add_outcomes(event_of(SettlementUpdated, status="SENT"))
    assert await world.rows(PAYMENT) == []


async def test_a_refused_number_stops_no_other_message(world):
    await world.put_contacts(
        CONTACT, Contact("usr-457", Personal("+15005550001"), Personal("usr-457@example.com"))
    )
    world.texts.refuses.add("+15005550001")
    await world.challenge(challenged(), challenged(user_id="usr-457"))
    assert await world.deliver("sms") == 2
    results = sorted(result for _, _, result in world.results())
    assert results == ["delivered", "refused"]
    refused = [row for row in await world.rows(PAYMENT) if row["status"] == "REFUSED"]
    assert [row["reason"] for row in refused] == ["provider_21211"]


async def test_a_delivery_without_a_contact_is_refused_as_no_contact(world):
    await world.add_outcomes(event_of(PaymentConfirmed))
    await world.deliver("email")
    (row,) = await world.rows(PAYMENT)
    assert (row["status"], row["reason"]) == ("REFUSED", "no_contact")
    assert world.results() == [("email", "confirmed", "refused")]


async def test_a_provider_that_is_down_is_retried_until_it_accepts_the_message(world):
    await world.put_contacts()
    world.mails.is_down = True
    await world.add_outcomes(event_of(PaymentConfirmed))
    for _ in range(3):
        assert await world.deliver("email") == 1
        await world.later()
    assert world.results() == []
    world.mails.is_down = False
    await world.deliver("email")
    assert world.results() == [("email", "confirmed", "delivered")]


async def test_nothing_is_claimed_while_the_breaker_is_open(world):
    world.mails.is_open = True
    await world.add_outcomes(event_of(PaymentConfirmed))
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
    assert world.results() == [("sms", "code", "expired")]
    assert not world.texts.given


@pytest.mark.parametrize("sealed", ["no-key.AAAA", "", "nonsense"])
async def test_a_code_that_cannot_be_opened_is_refused_and_stops_no_other_code(world, sealed):
    await world.put_contacts()
    bad = challenged().model_copy(update={"sealed_code": Sealed(sealed)})
    await world.challenge(bad, challenged())
    await world.deliver("sms")
    assert sorted(result for _, _, result in world.results()) == ["delivered", "refused"]


async def test_a_worker_that_died_after_sending_sends_again_under_the_same_id(world):
    await world.put_contacts()
    await world.add_outcomes(event_of(PaymentConfirmed))

    async def die(batch: Batch):
        await Sender(world.mails, world.surroundings, SEALER)(batch)
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await world.deliver("email", gather=die)
    await world.later()
    await world.deliver("email")
    assert (len(world.mails.given), len(world.mails.kept)) == (2, 1)
    assert world.results() == [("email", "confirmed", "delivered")]


async def test_a_redelivered_event_is_one_message(world):
    await world.put_contacts()
    event = challenged()
    (event_id,) = await world.challenge(event)
    world.clock.drawn -= 1
    assert await world.challenge(event) == [event_id]
    assert await world.deliver("sms") == 1
    assert len(world.texts.given) == 1
