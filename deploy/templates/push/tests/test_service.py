"""What clients of a user's stream are sent."""

import json

from payment_schemas.events.confirmation import PaymentConfirmed
from sample.domain import news_of
from sample.handlers import on_payment_confirmed
from service_runtime.push import Streams, Subscription
from testkit.events import event_of


def test_news_of_a_payment_name_no_account():
    event = event_of(PaymentConfirmed)
    news = json.loads(news_of(event))
    assert news["transaction_id"] == event.transaction_id
    assert event.from_account not in news.values()


async def test_a_payment_reaches_its_users_stream_and_no_other():
    streams = Streams()
    event = event_of(PaymentConfirmed)
    own, other = Subscription(event.user_id, "a"), Subscription("usr-other", "b")
    with streams.opened(own) as mine, streams.opened(other) as others:
        on_payment_confirmed(event, streams)
        others.close("stopping")
        news, silence = await mine.next(), await others.next()
    assert (news.event, news.id) == ("payment.confirmed", str(event.payment_id))
    assert silence.event == "closing"
