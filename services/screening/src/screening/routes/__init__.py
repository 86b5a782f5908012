"""Screenings for machines; lists and exceptions for operators."""

from fastapi import APIRouter

from screening.routes.api import Api
from screening.routes.exceptions import add_exception, add_exceptions
from screening.routes.lists import add_lists
from screening.routes.screenings import add_screenings
from service_runtime.credentials import Credentials

__all__ = ["Api", "add_exception", "routes"]


def routes(api: Api, machines: Credentials) -> APIRouter:
    """Return the routes: screenings for machines with `screenings.query`, others for operators."""
    router = APIRouter()
    add_screenings(router, api, machines)
    add_lists(router, api)
    add_exceptions(router, api)
    return router
