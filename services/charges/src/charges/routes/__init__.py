"""The API of charges: payments, refunds, providers' webhooks, reviews."""

from typing import Any

from fastapi import APIRouter

from charges.routes.api import Api
from charges.routes.cards import add_cards
from charges.routes.changes import add_changes
from charges.routes.operating import add_operating
from charges.routes.payments import add_payments
from charges.routes.processing import add_processing
from charges.routes.reviews import add_reviews
from charges.routes.webhooks import add_webhooks
from service_runtime.edge import Admission
from service_runtime.operators import Operators

__all__ = ["Api", "described", "routes"]


def routes(api: Api, operators: Operators) -> APIRouter:
    """Return all routes."""
    router = APIRouter(tags=["charges"])
    add_payments(router, api)
    add_changes(router, api)
    add_cards(router, api)
    add_processing(router, api)
    add_webhooks(router, api)
    add_reviews(router, api, operators)
    add_operating(router, api, operators)
    return router


def described() -> APIRouter:
    """Return the public routes for a description alone: nothing behind them can be requested."""
    nothing: Any = None
    fields = dict.fromkeys(Api.__dataclass_fields__, nothing)
    limits = {"writes_per_minute": 1, "reads_per_minute": 1}
    api = Api(**fields | limits | {"admission": Admission(nothing, nothing, 1)})
    router = APIRouter(tags=["charges"])
    add_payments(router, api)
    add_changes(router, api)
    add_cards(router, api)
    add_processing(router, api)
    return router
