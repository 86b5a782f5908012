"""What a browser gets where a page cannot be shown, or an act is refused."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response

from ops.console.frame import Console
from ops.console.places import FRAGMENT, Place, place_of
from ops.console.viewers import ForbiddenError, SignInNeededError, Viewer
from ops.domain.errors import HELP, OpsError, RefusedError

NOTHING_DONE = "Nothing was changed. Go back, correct what is named, and try again."
NOT_PERMITTED = "Nothing was changed. Somebody whose role has the scope can do it."
NOT_KNOWN = "Go back, and look whether it has happened before you try again."
LOOK = "Go back, and try again."
"""What to do after a refusal, by what is known of the act."""


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
        fault = {"what": str(error), "then": "", "advice": NOT_PERMITTED}
        return await _refusal(console, request, 403, "Not permitted", fault)

    async def failed(request: Request, error: Exception) -> Response:
        assert isinstance(error, OpsError)  # noqa: S101 - registered for it alone
        is_refused = isinstance(error, RefusedError)
        status, title = (409, "Refused") if is_refused else (503, "Not available")
        is_act = request.method != "GET"
        advice = (NOTHING_DONE if is_refused else NOT_KNOWN) if is_act else LOOK
        then = "" if error.then == HELP else error.then
        fault = {"what": error.what, "then": then, "advice": advice}
        return await _refusal(console, request, status, title, fault)

    app.add_exception_handler(SignInNeededError, sign_in_needed)
    app.add_exception_handler(ForbiddenError, forbidden)
    app.add_exception_handler(OpsError, failed)


async def _refusal(
    console: Console, request: Request, status: int, title: str, fault: Mapping[str, Any]
) -> Response:
    if FRAGMENT in request.headers:
        return console.plain(request, "parts/away.html", status, title=title, fault=fault)
    viewer: Viewer | None = getattr(request.state, "viewer", None)
    if viewer is None:
        return console.plain(request, "refusal.html", status, title=title, fault=fault)
    back: Place = place_of(request, console.sections)
    # A notice is read from Redis, by a client that blocks.
    return await run_in_threadpool(
        console.page, viewer, "refused.html", status, title=title, fault=fault, back=back
    )
