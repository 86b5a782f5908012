"""The pages of a sign-in: no script, no cookie, nothing from elsewhere.

No page has an ambient credential: each act needs the password that the form sends. So a forged
request could at most use the forger's own account; it is refused all the same.
"""

import html
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from string import Template
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel, ConfigDict, ValidationError

from identity.domain.applications import OFFLINE, OPENID
from identity.routes.bodies import Email, Secret
from payment_schemas.answers import RefusedError
from payment_schemas.scopes import TABLE
from service_runtime.errors import Unavailable
from service_runtime.web import given_once

STYLE = "/auth/style.css"
_PAGES = Path(__file__).parent.parent / "pages"
_PAGE = Template((_PAGES / "page.html").read_text(encoding="utf-8"))
_STYLE = (_PAGES / "style.css").read_text(encoding="utf-8")
_POLICY = (
    "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; "
    "frame-ancestors 'none'; form-action 'self'"
)
_ADMITS = {
    one.scope: one.admits_to
    for one in TABLE
    if one.holder != "machine" and not one.admits_to.startswith("reserved")
}
_ADMITS |= {OPENID: "know who you are", OFFLINE: "stay signed in"}
_WRONG = "E-mail or password is wrong."
_LIMITED = "Too many attempts. Wait {minutes} minutes, and try again."
_AWAY = "Nobody can sign in at the moment. Try again in a minute."
MOST_OPEN = 5
"""Scopes that a page lists at once; more are behind their number."""
WAIT, UNAUTHORIZED, FORBIDDEN = 429, 401, 403


class Credentials(BaseModel):
    """Address and password of a form."""

    model_config = ConfigDict(hide_input_in_errors=True)

    email: Email
    password: Secret


@dataclass(frozen=True, slots=True)
class SignInForm:
    """What a page asks a person for."""

    action: str
    title: str
    client: str
    """The name of the application."""
    scopes: Iterable[str]
    hidden: Mapping[str, str]
    code: str = ""
    """The code of a device, for the person to compare."""
    returns_to: str = ""
    """The origin to which the browser is sent afterwards."""

    def shown(self, *, fault: str = "", status: int = 200, email: str = "") -> Response:
        """Return the page; after a fault with what is wrong, and the address entered again."""
        inputs = "".join(_hidden(*field) for field in self.hidden.items() if field[1])
        body = (
            f"{self._who()}{_fault(fault)}"
            f'<form method="post" action="{self.action}">{inputs}{_sign_in_fields(email)}'
            f"{_button('approve', 'Sign in and allow', 'act')}</form>"
            # A form of its own: the fields of the other one need not be filled in to deny.
            f'<form method="post" action="{self.action}">{inputs}{_button("deny", "Deny")}</form>'
        )
        return page(self.title, body, status, self.returns_to)

    def refused(self, error: Exception, email: str) -> Response:
        """Return the page again after a refused sign-in."""
        if isinstance(error, RefusedError) and error.answer.status == WAIT:
            headers = {name.lower(): value for name, value in error.answer.headers}
            minutes = ceil(int(headers["retry-after"]) / 60)
            return self.shown(fault=_LIMITED.format(minutes=minutes), status=WAIT)
        if isinstance(error, (Unavailable, TimeoutError)):
            return self.shown(fault=_AWAY, status=503, email=email)
        return self.shown(fault=_WRONG, status=UNAUTHORIZED, email=email)

    def _who(self) -> str:
        may = [_ADMITS[one] for one in self.scopes if one in _ADMITS]
        listed = "".join(f"<li>{_text(one)}</li>" for one in may)
        if len(may) > MOST_OPEN:
            listed = f"<details><summary>{len(may)} things</summary><ul>{listed}</ul></details>"
        else:
            listed = f"<ul>{listed}</ul>"
        code = f'<p>Its code: <span class="code">{_text(self.code)}</span></p>' if self.code else ""
        warning = "Go on only if you have begun this sign-in yourself, just now."
        return (
            f"<p>You allow <strong>{_text(self.client)}</strong>, as far as you may yourself:</p>"
            f'{listed}{code}<p class="quiet">{warning}</p>'
        )


def credentials_of(form: Mapping[str, str]) -> Credentials | None:
    """Return address and password; None for what can be neither."""
    try:
        return Credentials.model_validate(
            {"email": form.get("email", ""), "password": form.get("password", "")}
        )
    except ValidationError:
        return None


def is_own(request: Request, issuer: str) -> bool:
    """Return whether a form was sent by an own page. Source: W3C Fetch Metadata, RFC 6454.

    A browser that sends neither header is older than 2020; it cannot sign in here.
    """
    if site := given_once(request.headers, "sec-fetch-site"):
        return site == "same-origin"
    parts = urlsplit(issuer)
    return given_once(request.headers, "origin") == f"{parts.scheme}://{parts.netloc}"


def code_page(fault: str = "", status: int = 200) -> Response:
    """Return the page that asks for the code of a device."""
    field = (
        '<label>Code <input name="user_code" required autocomplete="off" maxlength="20"'
        ' autocapitalize="characters" spellcheck="false"></label>'
    )
    intro = "<p>Enter the code that the device or the command shows.</p>"
    button = '<button class="act">Continue</button>'
    form = f'<form method="get" action="/device">{field}{button}</form>'
    return page("Sign a device in", f"{intro}{_fault(fault)}{form}", status)


def message(title: str, text: str, status: int = 200) -> Response:
    """Return a page that says one thing."""
    return page(title, f"<p>{_text(text)}</p>", status)


def forged() -> Response:
    """Return the page for a form that another site has sent."""
    return message("Not signed in", "Another site has sent this form. Begin again.", FORBIDDEN)


def page(title: str, body: str, status: int, returns_to: str = "") -> Response:
    """Return a page. Chromium applies `form-action` to the redirect behind a form, too."""
    content = _PAGE.substitute(title=_text(title), body=body)
    policy = f"{_POLICY} {returns_to}" if returns_to else _POLICY
    headers = {"Content-Security-Policy": policy, "Cache-Control": "no-store"}
    return HTMLResponse(content, status, headers)


async def style() -> Response:
    """Return the style of the pages."""
    return Response(_STYLE, media_type="text/css", headers={"Cache-Control": "public, max-age=300"})


def _fault(text: str) -> str:
    return f'<p class="wrong" role="alert">{_text(text)}</p>' if text else ""


def _hidden(name: str, value: str) -> str:
    return f'<input type="hidden" name="{_text(name)}" value="{_text(value)}">'


def _sign_in_fields(email: str) -> str:
    return (
        f'<label>E-mail <input name="email" type="email" required autocomplete="username"'
        f' maxlength="300" value="{_text(email)}"></label>'
        '<label>Password <input name="password" type="password" required'
        ' autocomplete="current-password" maxlength="256"></label>'
    )


def _button(decision: str, text: str, kind: str = "") -> str:
    style_of = f' class="{kind}"' if kind else ""
    return f'<button name="decision" value="{decision}"{style_of}>{_text(text)}</button>'


def _text(value: str) -> str:
    return html.escape(value)
