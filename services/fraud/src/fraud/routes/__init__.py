"""Scores for risk by its secret; detection, reports and the registry for operators."""

from fastapi import APIRouter

from fraud.routes.api import Api
from fraud.routes.detection import add_detection
from fraud.routes.models import SET_STAGE, add_models, setter
from fraud.routes.scores import add_batches
from service_runtime.credentials import Credentials
from service_runtime.responses import refusals

__all__ = ["SET_STAGE", "Api", "routes", "setter"]
PATHS = ("/api/v1/fraud", "/fraud")
"""The second one as smartpay.md prints it."""
_REFUSALS = refusals(
    {
        400: "A field is missing, invalid or unknown.",
        401: "No operator's token, or an invalid one.",
        403: "The token lacks the scope.",
        404: "Unknown.",
        409: "In progress, or changed meanwhile.",
        422: "The Idempotency-Key was used for another request.",
        503: "Nothing was changed; see Retry-After.",
    }
)


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
