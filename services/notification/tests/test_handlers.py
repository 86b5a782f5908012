"""From the event to the sent message, with failing providers."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import orjson
import pytest
from notification_world import CONTACT, SEALER, challenged

from notification.domain import Contact, contact_notices, delivery_id_of
from notification.handlers import Sender
from notification.store import NewDelivery
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


MOVED = replace(CONTACT, phone=Personal("+15550100999"))


async def test_a_changed_contact_gets_no_code_for_a_day(world):
    await world.put_contacts()
    await world.challenge(challenged())
    await world.change_contact(MOVED)
    await world.deliver("sms")
    assert world.texts.kept == {}
    (refused,) = await world.rows(PAYMENT)
    assert (refused["status"], refused["reason"]) == ("REFUSED", "codes_paused")

    await world.next_day()
    await world.challenge(challenged(code_expires_at=world.clock.now() + timedelta(days=1)))
    await world.deliver("sms")
    assert [message.to.reveal() for message in world.texts.kept.values()] == ["+15550100999"]


async def test_the_former_addresses_are_notified_and_then_forgotten(world):
    await world.put_contacts()
    former = await world.change_contact(MOVED)
    notices = contact_notices(former, PAYMENT, world.clock.now())
    async with world.database.transaction() as tx:
        await world.store(tx).add([NewDelivery(one) for one in notices])

    assert [await world.deliver(channel) for channel in ("sms", "email")] == [1, 1]
    sent = [*world.texts.kept.values(), *world.mails.kept.values()]
    assert [message.to.reveal() for message in sent] == ["+15550100456", "usr-456@example.com"]
    assert all("was changed" in message.text.reveal() for message in sent)
    records = [record.value for record in world.broker.topics["audit.recorded.v1"]]
    assert [orjson.loads(value)["action"] for value in records] == ["NOTICE_DELIVERED"] * 2
    assert not any(b"0100456" in value or b"@" in value for value in records)
    assert world.results() == []
    assert await world.addresses() == [None, None]
