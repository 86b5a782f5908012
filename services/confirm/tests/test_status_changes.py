"""`payment.status-changed.v1`: whenever the owner sees another status, once a payment and batch."""

import orjson
import pytest
from confirm_builders import again, assessed, challenged, first_request, settled, verified

from confirm.domain.events import status_changed
from payment_schemas.cloudevents import read_event
from payment_schemas.events.confirmation import PaymentStatusChanged
from service_runtime.responses import JsonResponse


@pytest.fixture
async def funded(memory_world):
    await memory_world.open_account("acc-1", "usr-456", 1_000_000)
    return memory_world


async def only(world):
    (payment,) = await world.payments()
    return payment


async def shown_by(world, *events):
    """Return what the records of a batch show."""
    emitted = await world.take(*events)
    changes = [event for event in emitted if isinstance(event, PaymentStatusChanged)]
    return [(one.sequence, one.status, one.settlement_status) for one in changes]


async def test_every_status_that_the_owner_sees_is_published_with_a_growing_sequence(funded):
    published = [await shown_by(funded, first_request())]
    published += [await shown_by(funded, assessed(await only(funded), 85, amount_usd_minor=1))]
    published += [await shown_by(funded, challenged(await only(funded)))]
    published += [await shown_by(funded, again("tag"))]
    published += [await shown_by(funded, verified(await only(funded)))]
    published += [await shown_by(funded, settled(await only(funded), "SENT", 1))]
    published += [await shown_by(funded, settled(await only(funded)))]

    assert published == [
        [],
        [],
        [(3, "OTP_REQUIRED", "NONE")],
        [(4, "PENDING", "NONE")],
        [(5, "SUCCESS", "PENDING")],
        [(6, "SUCCESS", "SENT")],
        [(7, "SUCCESS", "SETTLED")],
    ]


async def test_two_changes_in_one_batch_are_one_record(funded):
    await funded.take(first_request())
    await funded.take(assessed(await only(funded)))
    payment = await only(funded)

    published = await shown_by(funded, settled(payment, "SENT", 1), settled(payment, "SETTLED", 2))

    assert published == [(4, "SUCCESS", "SETTLED")]


async def test_a_late_result_publishes_nothing(funded):
    await funded.take(first_request())
    await funded.take(assessed(await only(funded)))
    await funded.take(settled(await only(funded), "SETTLED", 2))

    assert await shown_by(funded, settled(await only(funded), "SENT", 1)) == []


async def test_a_payment_that_is_declined_at_once_is_published(funded):
    assert await shown_by(funded, first_request(amount="10000.01")) == [(1, "DECLINED", "NONE")]


async def test_a_reader_of_the_record_shows_the_same_bytes_as_a_read_of_the_payment(funded):
    await funded.take(first_request())
    await funded.take(assessed(await only(funded)))
    event = status_changed(await only(funded))

    read = read_event(event.ce_type, event.topic, event.model_dump_json().encode())

    assert JsonResponse(read.public_view()).body == JsonResponse(event.public_view()).body
    assert orjson.loads(JsonResponse(read.public_view()).body)["amount"] == "5200.00"
