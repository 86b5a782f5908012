"""Who and what has access: webhooks of owners, clients, operators, and the published keys."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from ops.clients.grants import grants_of
from ops.clients.listings import CLIENTS, ENDPOINTS, OPERATORS, Listing
from ops.clients.proposals import of_owner
from ops.clients.system import System
from ops.console.frame import Console, act_of, box
from ops.console.sections import Section
from ops.console.viewers import Form, Viewer
from ops.domain.errors import RefusedError
from ops.domain.rows import Row
from payment_schemas.scopes import CUSTOMER_SCOPES, ROLES, SCOPES
from service_runtime.clock import Clock

SECTION = Section("Access", "/access", "a")
WRITE, GRANT = "identity.write", "roles.grant"
PAGE = 50
KEY_SETS = {
    "identity": ("/.well-known/jwks.json", "access tokens of users, clients and operators"),
    "settlement": ("/.well-known/partner-jwks.json", "messages to partner banks on Kafka"),
}
"""Where each service publishes its keys, and what they sign."""
LISTS = {"endpoints": ENDPOINTS, "clients": CLIENTS, "operators": OPERATORS}
SCOPES_BY_KIND = {"customer": CUSTOMER_SCOPES, "operator": SCOPES}
"""What a client may be given, by whom it acts for."""
STATES = {"disable": "gets no more tokens", "enable": "gets tokens again"}


def routes(console: Console, clock: Clock) -> APIRouter:
    """Return the routes; each box is a part of its own, with pages of its own."""
    router = APIRouter(include_in_schema=False)
    Operator = Annotated[Viewer, Depends(console.viewer)]  # noqa: N806 - a type
    Acting = Annotated[Viewer, Depends(act_of(console, WRITE))]  # noqa: N806 - a type
    Granting = Annotated[Viewer, Depends(act_of(console, GRANT))]  # noqa: N806 - a type

    @router.get(SECTION.path)
    def page(viewer: Operator, request: Request) -> Response:
        after = {name: request.query_params.get(name, "") for name in LISTS}
        return console.page(viewer, "access.html", after=after)

    @router.get("/access/keys")
    def keys(viewer: Operator) -> Response:
        found = {name: box(_keys_of(viewer.system, name)) for name in KEY_SETS}
        return console.part(viewer, "parts/keys.html", found=found, sets=KEY_SETS)

    @router.get("/access/{name}")
    def listed(viewer: Operator, name: str, after: str | None = None) -> Response:
        if name not in LISTS:
            raise RefusedError(f"{name}: unknown", "")
        found = box(lambda: _page(viewer.system, LISTS[name], after))
        proposed = box(lambda: _proposed(viewer.system, name))
        values = {"box": found, "proposed": proposed, "may": viewer.may(WRITE)}
        values |= {"roles": ROLES, "may_grant": viewer.may(GRANT)}
        return console.part(viewer, f"parts/{name}.html", **values)

    @router.get("/access/clients/new")
    def new_client(viewer: Operator) -> Response:
        viewer.need(WRITE)
        return console.page(viewer, "client.html", scopes=SCOPES_BY_KIND, key=str(clock.new_id()))

    @router.post("/access/clients")
    def propose_client(viewer: Acting, form: Form) -> Response:
        key = form.get("key")
        done = viewer.system.post(CLIENTS.owner, CLIENTS.path, client_of(form), key)
        return console.done(viewer, SECTION.path, _proposal_of(done))

    @router.post("/access/operators")
    def propose_roles(viewer: Granting, form: Form) -> Response:
        user = form.get("user", "").strip()
        path = f"/admin/users/{quote(user, safe='')}/roles"
        roles = [name for name in ROLES if form.get(f"role-{name}")]
        done = viewer.system.post(OPERATORS.owner, path, {"roles": roles})
        return console.done(viewer, SECTION.path, _proposal_of(done))

    @router.post("/access/clients/{client_id}/{state}")
    def client(viewer: Acting, client_id: str, state: str) -> Response:
        if state not in STATES:
            raise RefusedError("state: unknown", "")
        path = f"{CLIENTS.path}/{quote(client_id, safe='')}/{state}"
        viewer.system.post(CLIENTS.owner, path, {})
        return console.done(viewer, SECTION.path, f"{client_id} {STATES[state]}.")

    return router


def client_of(form: Mapping[str, str]) -> dict[str, Any]:
    """Return the client that a form describes, as identity takes it."""
    redirects, hashes = (form.get(name, "").split() for name in ("redirect_uris", "secrets"))
    kind = form.get("kind", "")
    return {
        "client_id": form.get("client_id", "").strip(),
        "name": form.get("name", "").strip(),
        "kind": kind,
        "scopes": [one for one in SCOPES_BY_KIND.get(kind, ()) if form.get(f"{kind}-{one}")],
        "secrets_sha256": hashes,
        "grants": grants_of(has_redirect=bool(redirects), is_device=bool(form.get("device"))),
        "redirect_uris": redirects,
        "sign_out_uris": form.get("sign_out_uris", "").split(),
    }


def _proposal_of(done: Row) -> str:
    return f"Proposed: {done['about']}. A second person reads it below, and approves it."


def _page(system: System, listing: Listing, after: str | None) -> Row:
    reply: Row = system.get(listing.owner, listing.path, after=after, limit=PAGE)
    return {"rows": reply[listing.name], "next": reply["next"]}


def _proposed(system: System, name: str) -> list[Row]:
    """Return what waits for a second person about clients or operators."""
    acts = {"clients": "CLIENT_SET", "operators": "ROLES_SET"}
    if name not in acts:
        return []
    return [row for row in of_owner(system, OPERATORS.owner) if row["act"] == acts[name]]


def _keys_of(system: System, name: str) -> Callable[[], Any]:
    return lambda: system.get(name, KEY_SETS[name][0])["keys"]
