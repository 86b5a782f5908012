"""Where a person came from: the page to which a refusal leads back."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from fastapi import Request

from ops.console.sections import Section

FIRST = "/now"
FRAGMENT = "x-fragment"
"""Header of a request for a part of a page."""
MOST_CHARACTERS = 2000


@dataclass(frozen=True, slots=True)
class Place:
    """A page of the console, with the section that it is in."""

    path: str
    title: str


def place_of(request: Request, sections: Sequence[Section]) -> Place:
    """Return the page whose form was sent, else the section of the request's own address."""
    path = getattr(request.state, "came_from", "")
    section = _section_of(path or request.url.path, sections)
    if not path:
        path = section.path if section else FIRST
    return Place(path, section.title if section else "the page before")


def own_address(request: Request) -> str:
    """Return the address of a page that a GET shows; none for others, and for parts of pages."""
    if request.method != "GET" or FRAGMENT in request.headers:
        return ""
    query = f"?{request.url.query}" if request.url.query else ""
    return request.url.path + query


def is_local(path: str) -> bool:
    """Say whether a path is one of this console, on whatever host it is."""
    parts = urlsplit(path)
    is_absolute = path.startswith("/") and not path.startswith(("//", "/\\"))
    return is_absolute and not parts.netloc and path.isprintable() and len(path) <= MOST_CHARACTERS


def _section_of(path: str, sections: Sequence[Section]) -> Section | None:
    found = urlsplit(path).path
    return next(
        (one for one in sections if found == one.path or found.startswith(f"{one.path}/")), None
    )
