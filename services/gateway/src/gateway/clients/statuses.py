"""The changes of payments' statuses, for the streams of this gateway's clients."""

import orjson

from gateway.clients.reads import PaymentView, Reads
from payment_schemas import answers
from payment_schemas.answers import RefusedError
from payment_schemas.events.confirmation import PaymentStatusChanged
from payment_schemas.ids import payment_id_of
from service_runtime.broadcast import Broadcast
from service_runtime.brokers import Brokers
from service_runtime.errors import Unavailable
from service_runtime.push import HEARTBEAT, GrowingIds, ServerEvent, Streams

STATUS = "status"
INTERRUPTED = ServerEvent("live updates are interrupted; the next status may be late", "")
LIVE = ServerEvent("live updates go on", "")


class StatusFeed(Broadcast[PaymentStatusChanged]):
    """Passes each change to the streams that follow the payment."""

    def __init__(self, brokers: Brokers, streams: Streams) -> None:
        super().__init__(brokers, PaymentStatusChanged, self._changed)
        self._streams = streams

    def wants(self, key: bytes | None) -> bool:
        """Return whether a stream follows the payment."""
        return self._streams.has((key or b"").decode("utf-8", "replace"))

    def missed(self) -> None:
        """End all streams: their clients reconnect and get the current state."""
        self._streams.close_all("gap")

    async def watch(self) -> None:
        """Notify clients, also by later heartbeats, when the broker has stopped responding."""
        note = HEARTBEAT if self.is_current else INTERRUPTED
        if note is not self._streams.heartbeat:
            self._streams.heartbeat = note
            self._streams.publish_to_all(LIVE if note is HEARTBEAT else INTERRUPTED)

    def _changed(self, event: PaymentStatusChanged) -> None:
        view = PaymentView(event.public_view(), event.sequence)
        self._streams.publish(event.key, status_event(view, event.key))


async def present_status(
    reads: Reads, user_id: str, transaction_id: str, seen: GrowingIds
) -> ServerEvent:
    """Read the current status of a user's payment from confirm.

    Raises RefusedError: 404 where the user has no such payment, 503 where confirm does not respond.
    """
    try:
        view = await reads.payment(user_id, transaction_id)
    except Unavailable:
        raise RefusedError(answers.unavailable()) from None
    if view is None:
        raise RefusedError(answers.unknown_payment(transaction_id))
    seen.forget_above(view.sequence)
    return status_event(view, str(payment_id_of(user_id, transaction_id)))


def status_event(view: PaymentView, key: str) -> ServerEvent:
    """Return the event that shows a payment; its id is the payment's sequence."""
    body = orjson.dumps(view.body).decode()
    return ServerEvent(body, STATUS, str(view.sequence), view.is_final, key)
