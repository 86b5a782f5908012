"""What ops serves beside health and metrics: the runbooks, at the addresses that alerts carry."""

from pathlib import Path

from fastapi import APIRouter, HTTPException
from fastapi.responses import PlainTextResponse

FOLDER = Path("docs/runbooks")
"""In the working folder: the checkout's, or that of the image."""


def router(folder: Path = FOLDER) -> APIRouter:
    """Return the routes."""
    routes = APIRouter()
    known = {path.stem: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.md"))}

    @routes.get("/runbooks/{name}")
    async def runbook(name: str) -> PlainTextResponse:
        if name not in known:
            raise HTTPException(404, f"no runbook is called so; there are: {', '.join(known)}")
        return PlainTextResponse(known[name])

    return routes
