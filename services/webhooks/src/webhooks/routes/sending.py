"""Messages that an owner asks for: a test, and one that is sent again."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response

from service_runtime.edge import Caller
from service_runtime.http_unit import Reply
from service_runtime.messages import Cause
from service_runtime.postgres import PostgresTransaction
from webhooks.domain.attempts import RETRY_WITHIN
from webhooks.domain.events import TEST, Message
from webhooks.routes.api import Api, on_endpoint, writer_of
from webhooks.routes.bodies import Accepted
from webhooks.store import Deliveries, Endpoint


def add_sending(router: APIRouter, api: Api) -> None:
    """Add the messages that an owner asks for."""
    Writer = Annotated[Caller, writer_of(api)]  # noqa: N806 - a type

    @router.post("/{endpoint_id}/test", status_code=202, response_model=Accepted)
    async def test(request: Request, caller: Writer, endpoint_id: UUID) -> Response:
        """Send a message of the type `webhook.test` to the endpoint."""

        async def act(tx: PostgresTransaction, endpoint: Endpoint, cause: Cause) -> Reply:
            now = api.clock.now()
            message = Message(cause.id, endpoint.id, TEST, now)
            await Deliveries(tx).add([(message, cause.trace)], now + RETRY_WITHIN)
            return Reply(_accepted(message.id), 202)

        return await api.run(request, caller, on_endpoint(request, caller, endpoint_id, act))

    @router.post(
        "/{endpoint_id}/deliveries/{delivery_id}/redeliver",
        status_code=202,
        response_model=Accepted,
    )
    async def redeliver(
        request: Request, caller: Writer, endpoint_id: UUID, delivery_id: UUID
    ) -> Response:
        """Send a message again, under its webhook-id, whatever came of it."""

        async def act(tx: PostgresTransaction, endpoint: Endpoint, _cause: Cause) -> Reply:
            until = api.clock.now() + RETRY_WITHIN
            if not await Deliveries(tx).send_again(delivery_id, endpoint.id, until):
                return Reply({"error": f"Unknown delivery: {delivery_id}"}, status=404)
            return Reply(_accepted(delivery_id), 202)

        return await api.run(request, caller, on_endpoint(request, caller, endpoint_id, act))


def _accepted(delivery_id: UUID) -> dict[str, Any]:
    return {"delivery_id": delivery_id, "webhook_id": f"msg_{delivery_id.hex}"}
