"""What sample does with events."""

from payment_schemas.events.confirmation import PaymentConfirmed
from sample.domain import news_of
from service_runtime.push import ServerEvent, Streams


def on_payment_confirmed(event: PaymentConfirmed, streams: Streams) -> None:
    """Send a payment to the streams of its user; waits for no client."""
    news = ServerEvent(news_of(event), "payment.confirmed", str(event.payment_id))
    streams.publish(event.user_id, news)
