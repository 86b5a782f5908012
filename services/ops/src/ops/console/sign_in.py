"""Sign-in, sign-out, and the assets of the pages."""

import json
from dataclasses import asdict
from typing import Annotated
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter, Depends, Request
from fastapi.responses import PlainTextResponse, RedirectResponse, Response

from ops.clients.begun_sign_ins import BegunSignIns
from ops.clients.code_flow import SignInSecrets
from ops.console.frame import Console, act_of
from ops.console.places import is_local
from ops.console.sections import READ
from ops.console.viewers import Viewer
from ops.domain.errors import RefusedError

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


def _local(path: str) -> str:
    """Return a path of this console; the first page for anything else."""
    return path if is_local(path) and len(json.dumps(path)) <= MOST_PATH else "/"
