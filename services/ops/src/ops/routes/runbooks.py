"""The runbooks, at the addresses that alerts contain: a page for browsers, else the text."""

from collections.abc import Callable
from pathlib import Path

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import PlainTextResponse, Response

FOLDER = Path("docs/runbooks")
"""Relative to the working folder, which is the checkout or the image."""
ShowPage = Callable[[Request, str, str], Response]
"""Returns the page of a runbook, by its name and text."""


def router(folder: Path = FOLDER, page: ShowPage | None = None) -> APIRouter:
    """Return the routes; they need no session, because whoever is called out follows the alert."""
    routes = APIRouter()
    known = {path.stem: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.md"))}

    @routes.get("/runbooks/{name}")
    async def runbook(request: Request, name: str) -> Response:
        if name not in known:
            raise HTTPException(404, f"unknown runbook; known: {', '.join(known)}")
        if page and "text/html" in request.headers.get("accept", ""):
            return page(request, name, known[name])
        return PlainTextResponse(known[name])

    return routes
