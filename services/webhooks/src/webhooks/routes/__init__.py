"""Endpoints of owners, over the gateway: manage them, see what was sent, have it sent again."""

from typing import Any

from fastapi import APIRouter

from service_runtime.edge import Admission
from webhooks.routes.api import Api
from webhooks.routes.bodies import Refusal
from webhooks.routes.reads import add_reads
from webhooks.routes.sending import add_sending
from webhooks.routes.writes import add_endpoint_writes, add_secret

PATH = "/api/v1/webhooks/endpoints"
_REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": Refusal, "description": "A field is missing, invalid or unknown."},
    401: {"model": Refusal, "description": "No token or an invalid one."},
    403: {"model": Refusal, "description": "The token lacks the scope webhooks.write."},
    404: {"model": Refusal, "description": "Unknown, or another user's."},
    409: {"model": Refusal, "description": "Taken, in progress, or too many."},
    412: {"model": Refusal, "description": "Changed since If-Match was read."},
    413: {"model": Refusal, "description": "Over 64 KiB."},
    422: {"model": Refusal, "description": "The Idempotency-Key was used for another request."},
    429: {"model": Refusal, "description": "Over the limit of requests; see Retry-After."},
    503: {"model": Refusal, "description": "Nothing was changed; see Retry-After."},
    504: {"model": Refusal, "description": "Repeat: it may have been changed."},
}


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
