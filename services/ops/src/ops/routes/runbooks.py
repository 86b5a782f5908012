"""The runbooks, at the addresses that alerts contain."""

from pathlib import Path

from fastapi import APIRouter, HTTPException
from fastapi.responses import PlainTextResponse

FOLDER = Path("docs/runbooks")
"""Relative to the working folder, which is the checkout or the image."""


def router(folder: Path = FOLDER) -> APIRouter:
    """Return the routes."""
    routes = APIRouter()
    known = {path.stem: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.md"))}

    @routes.get("/runbooks/{name}")
    async def runbook(name: str) -> PlainTextResponse:
        if name not in known:
            raise HTTPException(404, f"unknown runbook; known: {', '.join(known)}")
        return PlainTextResponse(known[name])

    return routes
