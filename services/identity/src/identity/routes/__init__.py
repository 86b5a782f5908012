"""The routes of identity."""

from typing import Any

from fastapi import APIRouter

from identity.routes.bodies import Refusal
from identity.routes.sessions import SessionRoutes
from identity.routes.tokens import TokenRoutes
from identity.routes.users import UserRoutes
from service_runtime.edge import Admission

_REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": Refusal, "description": "A field is missing, invalid or unknown."},
    401: {"model": Refusal, "description": "Wrong address, password, secret or token."},
    403: {"model": Refusal, "description": "Not a user's token, or no role of an operator."},
    429: {"model": Refusal, "description": "Over a limit; see Retry-After."},
    503: {"model": Refusal, "description": "Repeat after Retry-After."},
    "default": {"model": Refusal, "description": "504 of the gateway: it may have been done."},
}


def public_routes(users: UserRoutes, sessions: SessionRoutes, tokens: TokenRoutes) -> APIRouter:
    """Return the routes that clients reach through the gateway."""
    router = APIRouter(tags=["identity"], responses=_REFUSALS)
    users.add_to(router)
    sessions.add_to(router)
    tokens.add_to(router)
    return router


def described() -> APIRouter:
    """Return the public routes for a description alone: nothing behind them can be asked."""
    nothing: Any = None
    admission = Admission(nothing, nothing, 1)
    users = UserRoutes(nothing, nothing, admission, nothing, nothing)
    sessions = SessionRoutes(nothing, nothing, admission, nothing, nothing)
    return public_routes(users, sessions, TokenRoutes(nothing, admission, nothing))
