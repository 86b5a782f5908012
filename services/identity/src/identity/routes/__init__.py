"""The routes of identity."""

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter

from identity.routes.authorize import AuthorizeRoutes
from identity.routes.client_check import ClientCheck
from identity.routes.commits import Commits
from identity.routes.device import DeviceRoutes
from identity.routes.discovery import DiscoveryRoutes
from identity.routes.grants import GrantRoutes
from identity.routes.session_acts import SessionActs
from identity.routes.sessions import SessionRoutes
from identity.routes.sign_ins import PasswordCheck, SignIns
from identity.routes.sign_out import SignOutRoutes
from identity.routes.tokens import TokenRoutes
from identity.routes.users import UserRoutes
from service_runtime.edge import Admission
from service_runtime.responses import refusals

_REFUSALS = refusals(
    {
        400: "A field is missing, invalid or unknown.",
        401: "Wrong address, password, secret or token.",
        403: "Not a user's token, or no role of an operator.",
        429: "Over a limit; see Retry-After.",
        503: "Repeat after Retry-After.",
        "default": "504 of the gateway: it may have been done.",
    }
)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the public routes are made of."""

    sign_ins: SignIns
    commits: Commits
    acts: SessionActs


def public_routes(parts: Parts) -> APIRouter:
    """Return the routes that clients reach through the gateway."""
    sign_ins, commits, acts = parts.sign_ins, parts.commits, parts.acts
    check, admission = sign_ins.check, sign_ins.admission
    clients = ClientCheck(check.database, admission)
    machines = TokenRoutes(clients, acts.issuer)
    router = APIRouter(tags=["identity"], responses=_REFUSALS)
    UserRoutes(sign_ins, commits, acts).add_to(router)
    SessionRoutes(check, commits, admission, sign_ins.attempts, acts).add_to(router)
    machines.add_to(router)
    GrantRoutes(clients, commits, acts, machines).add_to(router)
    AuthorizeRoutes(clients, sign_ins, commits, acts).add_to(router)
    DeviceRoutes(clients, sign_ins, commits, acts).add_to(router)
    SignOutRoutes(clients, commits, acts).add_to(router)
    DiscoveryRoutes(acts.issuer).add_to(router)
    return router


def described() -> APIRouter:
    """Return the public routes for a description alone: nothing behind them can be asked."""
    nothing: Any = None
    check = PasswordCheck(nothing, nothing, nothing, nothing)
    sign_ins = SignIns(check, Admission(nothing, nothing, 1), nothing)
    return public_routes(Parts(sign_ins, nothing, SessionActs(nothing, nothing, nothing)))
