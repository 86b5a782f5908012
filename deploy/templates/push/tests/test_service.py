"""What clients of a user's stream are sent."""

import json

from payment_schemas.events.confirmation import PaymentConfirmed
from sample.domain import news_of
from sample.handlers import on_payment_confirmed
from service_runtime.push import Streams
from testkit.events import event_of


def test_news_of_a_payment_name_no_account():
    event = event_of(PaymentConfirmed)
    news = json.loads(news_of(event))
    assert news["transaction_id"] == event.transaction_id
    assert event.from_account not in news.values()


async def test_a_payment_reaches_its_users_stream_and_no_other():
    streams = Streams()
    event = event_of(PaymentConfirmed)
    with streams.opened(event.user_id, "a") as own, streams.opened("usr-other", "b") as other:
        on_payment_confirmed(event, streams)
        chunks = own.chunks(None, lambda sent: sent.event == "payment.confirmed")
        sent = b"".join([chunk async for chunk in chunks])
        other.close("stopping")
        silence = b"".join([chunk async for chunk in other.chunks(None, None)])
    assert b"event: payment.confirmed" in sent
    assert str(event.payment_id).encode() in sent
    assert b"payment.confirmed" not in silence
