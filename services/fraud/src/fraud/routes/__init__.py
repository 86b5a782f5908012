"""Scores for risk by its secret; detection, reports and the registry for operators."""

from typing import Any

from fastapi import APIRouter

from fraud.routes.api import Api
from fraud.routes.bodies import Refusal
from fraud.routes.detection import add_detection
from fraud.routes.models import SET_STAGE, add_models, setter
from fraud.routes.scores import add_batches
from service_runtime.credentials import Credentials

__all__ = ["SET_STAGE", "Api", "routes", "setter"]
PATHS = ("/api/v1/fraud", "/fraud")
"""The second one as smartpay.md prints it."""
_REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": Refusal, "description": "A field is missing, invalid or unknown."},
    401: {"model": Refusal, "description": "No operator's token, or an invalid one."},
    403: {"model": Refusal, "description": "The token lacks the scope."},
    404: {"model": Refusal, "description": "Unknown."},
    409: {"model": Refusal, "description": "In progress, or changed meanwhile."},
    422: {"model": Refusal, "description": "The Idempotency-Key was used for another request."},
    503: {"model": Refusal, "description": "Nothing was changed; see Retry-After."},
}


def routes(api: Api, machines: Credentials) -> APIRouter:
    """Return all routes; risk's batches and the registry are not under the public paths."""
    whole = APIRouter()
    for path in PATHS:
        public = APIRouter(prefix=path, tags=["fraud"], responses=_REFUSALS)
        add_detection(public, api)
        whole.include_router(public)
    add_batches(whole, api, machines)
    add_models(whole, api)
    return whole
