"""The API of insight: explanations and chat for users, both for operators."""

from typing import Any

from fastapi import APIRouter

from insight.routes.api import Api
from insight.routes.chat import add_chat
from insight.routes.explanations import add_explanations
from insight.routes.operators import operator_routes
from service_runtime.edge import Admission

__all__ = ["Api", "described", "operator_routes", "routes"]


def routes(api: Api) -> APIRouter:
    """Return the routes of users, over the gateway."""
    router = APIRouter(tags=["insight"])
    add_explanations(router, api)
    add_chat(router, api)
    return router


def described() -> APIRouter:
    """Return the routes for a description alone: nothing behind them can be requested."""
    nothing: Any = None
    return routes(Api(nothing, Admission(nothing, nothing, 1), nothing, 1, 1))
