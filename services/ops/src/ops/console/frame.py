"""What every page of the console shares: layout, sign-in, errors, assets and security headers."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ops.clients.code_flow import CodeFlow
from ops.console.filters import FILTERS
from ops.console.sections import READ, Section
from ops.console.viewers import Form, Viewer, Viewers, check_act
from ops.domain.errors import OpsError

HERE = Path(__file__).parent
THEMES = ("light", "dark")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "font-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True, slots=True)
class Cookies:
    """The cookies of the console. Source: RFC 6265bis, 4.1.3.2 for the prefix."""

    is_secure: bool

    @property
    def session(self) -> str:
        """The name of the session's cookie; with the prefix no other host can set it."""
        return "__Host-console" if self.is_secure else "console"

    @property
    def sign_in(self) -> str:
        """The name of the cookie of a sign-in under way."""
        return f"{self.session}-sign-in"

    def put(self, response: Response, name: str, secret: str, life_s: int) -> None:
        """Give a browser a secret that no script can read."""
        response.set_cookie(
            name,
            secret,
            max_age=life_s,
            path="/",
            secure=self.is_secure,
            httponly=True,
            samesite="lax",
        )

    def remove(self, response: Response, name: str) -> None:
        """Take a secret back."""
        response.delete_cookie(name, path="/", secure=self.is_secure, httponly=True, samesite="lax")


class Templates:
    """The pages' templates, and the assets with their addresses."""

    def __init__(self) -> None:
        self.assets = {path.name: path.read_bytes() for path in (HERE / "assets").iterdir()}
        self._environment = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters.update(FILTERS)
        self._environment.globals["asset"] = self._address

    def render(self, name: str, **values: Any) -> str:
        """Return a rendered template."""
        return self._environment.get_template(name).render(**values)

    def _address(self, name: str) -> str:
        """Return an asset's address, another one for other content."""
        return f"/assets/{name}?v={hashlib.sha256(self.assets[name]).hexdigest()[:12]}"


@dataclass(frozen=True)
class Console:
    """What pages are given."""

    url: str
    """Where operators open it."""
    viewers: Viewers
    flow: CodeFlow
    cookies: Cookies
    life_s: int
    is_development: bool
    links: Mapping[str, str] = field(default_factory=dict)
    """Addresses of pages of others, by name: traces, dashboards."""
    sections: Sequence[Section] = ()

    @cached_property
    def templates(self) -> Templates:
        """The templates, read once."""
        return Templates()

    def viewer(self, request: Request) -> Viewer:
        """Return the operator of a request; raise SignInNeededError or ForbiddenError."""
        viewer = self.viewers.find(request, request.cookies.get(self.cookies.session, ""))
        viewer.need(READ)
        # A refusal shows the frame to who may see it.
        request.state.viewer = viewer
        return viewer

    def page(
        self, viewer: Viewer, template: str, status: int = 200, /, **values: Any
    ) -> HTMLResponse:
        """Return a page with the frame around it."""
        notice = self.viewers.notice(viewer)
        shown = [one for one in self.sections if viewer.may(one.scope)]
        frame = {"viewer": viewer, "sections": shown, "notice": notice, "links": self.links}
        return self.plain(viewer.request, template, status, **frame, **values)

    def plain(
        self, request: Request, template: str, status: int = 200, /, **values: Any
    ) -> HTMLResponse:
        """Return a page without an operator, or a part of a page."""
        theme = request.cookies.get("theme", "")
        common = {
            "path": request.url.path,
            "theme": theme if theme in THEMES else "",
            "is_development": self.is_development,
        }
        text = self.templates.render(template, **common, **values)
        return HTMLResponse(text, status, {"Content-Security-Policy": POLICY})

    def part(self, viewer: Viewer, template: str, /, **values: Any) -> HTMLResponse:
        """Return a part of a page, which the browser puts into its place."""
        return self.plain(viewer.request, template, viewer=viewer, links=self.links, **values)

    def done(self, viewer: Viewer, path: str, notice: str) -> Response:
        """Lead the browser to a page that shows the outcome of an act."""
        self.viewers.notify(viewer, notice)
        return RedirectResponse(path, 303, {"Content-Security-Policy": POLICY})


def box(read: Callable[[], Any]) -> dict[str, Any]:
    """Return what a box of a page shows: its value, or why it is away. Others do not mind."""
    try:
        return {"value": read(), "away": None}
    except OpsError as error:
        return {"value": None, "away": error}


def act_of(console: Console, scope: str) -> Callable[..., Viewer]:
    """Return the dependency of acts: an operator with a scope, and a form of the session."""

    def acting(request: Request, form: Form) -> Viewer:
        viewer = console.viewer(request)
        check_act(viewer, form)
        viewer.need(scope)
        return viewer

    return acting
