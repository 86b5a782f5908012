"""The API of charges: payments, refunds, providers' webhooks, reviews."""

from fastapi import APIRouter

from charges.routes.api import Api
from charges.routes.changes import add_changes
from charges.routes.payments import add_payments
from charges.routes.reviews import add_reviews
from charges.routes.webhooks import add_webhooks
from service_runtime.operators import Operators

__all__ = ["Api", "routes"]


def routes(api: Api, operators: Operators) -> APIRouter:
    """Return all routes."""
    router = APIRouter(tags=["charges"])
    add_payments(router, api)
    add_changes(router, api)
    add_webhooks(router, api)
    add_reviews(router, api, operators)
    return router
