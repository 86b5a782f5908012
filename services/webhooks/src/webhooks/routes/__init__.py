"""Endpoints of owners, over the gateway: manage them, see what was sent, have it sent again."""

from typing import Any

from fastapi import APIRouter

from service_runtime.edge import Admission
from service_runtime.responses import refusals
from webhooks.routes.api import Api
from webhooks.routes.reads import add_reads
from webhooks.routes.sending import add_sending
from webhooks.routes.writes import add_endpoint_writes, add_secret

PATH = "/api/v1/webhooks/endpoints"
_REFUSALS = refusals(
    {
        400: "A field is missing, invalid or unknown.",
        401: "No token or an invalid one.",
        403: "The token lacks the scope webhooks.write.",
        404: "Unknown, or another user's.",
        409: "Taken, in progress, or too many.",
        412: "Changed since If-Match was read.",
        413: "Over 64 KiB.",
        422: "The Idempotency-Key was used for another request.",
        429: "Over the limit of requests; see Retry-After.",
        503: "Nothing was changed; see Retry-After.",
        504: "Repeat: it may have been changed.",
    }
)


def routes(api: Api) -> APIRouter:
    """Return the routes; all need the scope `webhooks.write`."""
    router = APIRouter(prefix=PATH, tags=["webhooks"], responses=_REFUSALS)
    add_reads(router, api)
    add_endpoint_writes(router, api)
    add_secret(router, api)
    add_sending(router, api)
    return router


def described() -> APIRouter:
    """Return the routes for a description alone: nothing behind them can be asked."""
    nothing: Any = None
    admission = Admission(nothing, nothing, 1)
    fields = dict.fromkeys(Api.__dataclass_fields__, nothing) | {"admission": admission}
    return routes(Api(**fields | {"writes_per_minute": 1, "reads_per_minute": 1}))
