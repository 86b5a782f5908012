"""The stream that clients open."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from service_runtime.operators import Operators
from service_runtime.push import EventStream, Streams, Subscription

User = Annotated[str, Query(min_length=1, max_length=128)]


def routes(streams: Streams, operators: Operators) -> APIRouter:
    """Return the route; it needs the scope `ops.read`."""
    router = APIRouter()
    Caller = Annotated[str, Depends(operators.require("ops.read"))]  # noqa: N806 - a type

    @router.get("/payments/stream")
    async def stream(caller: Caller, user_id: User) -> Response:
        """Send a user's confirmed payments as server-sent events, from now on."""
        return EventStream(streams, Subscription(user_id, caller))

    return router
