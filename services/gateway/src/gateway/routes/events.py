"""`GET /payment/{transaction_id}/events`: each status of a payment, for its owner alone."""

from dataclasses import dataclass
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from gateway.clients.reads import Reads
from gateway.clients.statuses import present_status
from payment_schemas.ids import payment_id_of
from service_runtime.edge import Access, Admission
from service_runtime.push import EventStream, GrowingIds, Streams, Subscription


@dataclass(frozen=True, slots=True)
class EventsRoute:
    """Streams the statuses of a payment until the last one, or until the caller's token expires."""

    admission: Admission
    access: Access
    reads: Reads
    streams: Streams

    async def __call__(self, request: Request) -> Response:
        """Return the stream; raise RefusedError, as a read of the payment does."""
        transaction_id = request.path_params["transaction_id"]
        caller = await self.admission.admit(request, self.access)
        seen = GrowingIds(request.headers.get("last-event-id"))
        read = partial(present_status, self.reads, caller.user_id, transaction_id, seen)
        payment_id = payment_id_of(caller.user_id, transaction_id)
        wish = Subscription(str(payment_id), caller.user_id, caller.expires_at)
        return EventStream(self.streams, wish, read, seen)
