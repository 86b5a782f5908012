"""Sign-in and sign-out, and what a browser gets where a page cannot be shown."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import PlainTextResponse, RedirectResponse, Response

from ops.clients.begun_sign_ins import BegunSignIns
from ops.clients.code_flow import SignInSecrets
from ops.console.frame import FRAGMENT, Console, act_of
from ops.console.sections import READ
from ops.console.viewers import ForbiddenError, SignInNeededError, Viewer
from ops.domain.errors import OpsError, RefusedError

SIGN_IN_WITHIN_S = 600
LOOPBACK = {"localhost", "127.0.0.1", "::1"}
MOST_PATH = 2000
"""Characters, as JSON, of an address after the sign-in: a cookie has 4096 bytes at most."""
YEAR_S = 31_536_000
_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


def routes(console: Console, begun: BegunSignIns) -> APIRouter:
    """Return the routes that need no session; `begun` seals sign-ins under way."""
    router = APIRouter(include_in_schema=False)
    cookies, viewers = console.cookies, console.viewers
    signed_in = act_of(console, READ)

    @router.get("/sign-in")
    def sign_in(request: Request, next: str = "/") -> Response:  # noqa: A002 - as in the address
        if request.url.hostname in LOOPBACK - {urlsplit(console.url).hostname}:
            # The issuer returns to the console's own address; this host's cookie is not sent there.
            return RedirectResponse(f"{console.url}/sign-in?{urlencode({'next': next})}", 303)
        secrets = SignInSecrets(*(viewers.new_secret() for _ in range(3)))
        kept = begun.sealed({**asdict(secrets), "next": _local(next)}, SIGN_IN_WITHIN_S)
        response = RedirectResponse(console.flow.address(secrets), 303)
        cookies.put(response, cookies.sign_in, kept, SIGN_IN_WITHIN_S)
        return response

    @router.get("/signed-in")
    def returned(request: Request) -> Response:
        kept = begun.opened(request.cookies.get(cookies.sign_in, ""))
        if kept is None:
            raise RefusedError("this sign-in was not begun in this browser, or too long ago", "")
        then = kept.pop("next")
        tokens = console.flow.finish(dict(request.query_params), SignInSecrets(**kept))
        response = RedirectResponse(then, 303)
        cookies.remove(response, cookies.sign_in)
        cookies.put(response, cookies.session, viewers.begin(tokens), console.life_s)
        return response

    @router.post("/sign-out")
    def sign_out(viewer: Annotated[Viewer, Depends(signed_in)]) -> Response:
        viewers.end(viewer)
        response = RedirectResponse("/signed-out", 303)
        cookies.remove(response, cookies.session)
        return response

    @router.get("/signed-out")
    def signed_out(request: Request) -> Response:
        return console.plain(request, "signed_out.html")

    @router.get("/assets/{name}")
    def asset(name: str) -> Response:
        content = console.templates.assets.get(name)
        if content is None:
            return PlainTextResponse("Not found", 404)
        headers = {"Cache-Control": f"public, max-age={YEAR_S}, immutable"}
        return Response(content, headers=headers, media_type=_TYPES[name.rpartition(".")[2]])

    return router


def add_refusals(app: FastAPI, console: Console) -> None:
    """Let the console's errors become pages."""

    async def sign_in_needed(request: Request, _error: Exception) -> Response:
        if FRAGMENT in request.headers:
            return console.plain(request, "parts/ended.html", 401)
        if request.method != "GET":
            return RedirectResponse("/sign-in", 303)
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"/sign-in?{urlencode({'next': request.url.path + query})}", 303)

    async def forbidden(request: Request, error: Exception) -> Response:
        return _refusal(console, request, 403, "Not permitted", {"what": str(error), "then": ""})

    async def failed(request: Request, error: Exception) -> Response:
        assert isinstance(error, OpsError)  # noqa: S101 - registered for it alone
        is_refused = isinstance(error, RefusedError)
        status, title = (409, "Refused") if is_refused else (503, "Not available")
        fault = {"what": error.what, "then": error.then}
        return _refusal(console, request, status, title, fault)

    app.add_exception_handler(SignInNeededError, sign_in_needed)
    app.add_exception_handler(ForbiddenError, forbidden)
    app.add_exception_handler(OpsError, failed)


def _refusal(
    console: Console, request: Request, status: int, title: str, fault: Mapping[str, Any]
) -> Response:
    name = "parts/away.html" if FRAGMENT in request.headers else "refusal.html"
    return console.plain(request, name, status, title=title, fault=fault)


def _local(path: str) -> str:
    """Return a path of this console; the first page for anything else."""
    parts = urlsplit(path)
    is_ours = (
        len(json.dumps(path)) <= MOST_PATH
        and path.startswith("/")
        and not path.startswith(("//", "/\\"))
    )
    return path if is_ours and not parts.netloc and path.isprintable() else "/"
