"""OpenID Connect for operators: discovery, device and code flow, and the pages of both."""

import html
from collections.abc import Callable, Mapping
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import urlencode

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from mocks.issuer.grants import DEVICE_LIFE, CodeRequest, Grants, OAuthError
from mocks.issuer.tokens import Granted, Issuer
from service_runtime.forms import FORM, BadFormError, form_fields
from service_runtime.web import JsonResponse

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
MOST_FIELDS = 20
_PAGES = Path(__file__).parent / "pages"
_PAGE = Template((_PAGES / "page.html").read_text(encoding="utf-8"))
_STYLE = (_PAGES / "style.css").read_text(encoding="utf-8")
_POLICY = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; frame-ancestors 'none'"
}

Form = Mapping[str, str]


class SignIn:
    """The requests of one issuer's sign-in."""

    def __init__(self, issuer: Issuer, grants: Grants) -> None:
        self._issuer = issuer
        self._grants = grants

    def add_to(self, app: FastAPI) -> None:
        """Add all routes but `/token`."""
        app.add_route("/.well-known/openid-configuration", self.discovery, methods=["GET"])
        app.add_route("/device_authorization", self.device_authorization, methods=["POST"])
        app.add_route("/device", self.device_page, methods=["GET"])
        app.add_route("/device", self.decide_device, methods=["POST"])
        app.add_route("/authorize", self.code_page, methods=["GET"])
        app.add_route("/authorize", self.decide_code, methods=["POST"])
        app.add_route("/revoke", self.revoke, methods=["POST"])
        app.add_route("/style.css", self.style, methods=["GET"])

    async def discovery(self, request: Request) -> Response:
        """Return the addresses, at the host by which the caller reaches this issuer."""
        base = str(request.base_url).rstrip("/")
        names = {
            "authorization_endpoint": "/authorize",
            "device_authorization_endpoint": "/device_authorization",
            "token_endpoint": "/token",
            "revocation_endpoint": "/revoke",
            "jwks_uri": "/.well-known/jwks.json",
        }
        return JsonResponse(
            {name: base + path for name, path in names.items()}
            | {
                "issuer": self._issuer.name,
                "response_types_supported": ["code"],
                "grant_types_supported": ["authorization_code", "refresh_token", DEVICE_GRANT],
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": ["none"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["EdDSA"],
                # Only this issuer has it: its page approves without a password.
                "development_operators": self._grants.operators,
            }
        )

    async def device_authorization(self, request: Request) -> Response:
        """Begin a device's sign-in. Source: RFC 8628, 3.1 and 3.2."""
        try:
            form = await _form(request)
            secret, device = self._grants.begin_device(
                form.get("client_id", ""), form.get("scope", "")
            )
        except OAuthError as error:
            return _refused(error)
        page = f"{str(request.base_url).rstrip('/')}/device"
        return JsonResponse(
            {
                "device_code": secret,
                "user_code": device.user_code,
                "verification_uri": page,
                "verification_uri_complete": f"{page}?user_code={device.user_code}",
                "expires_in": int(DEVICE_LIFE.total_seconds()),
                "interval": int(device.poll_s),
            }
        )

    async def token(self, request: Request) -> Response:
        """Return a token for a grant. Source: RFC 6749, 4.1.3 and 6; RFC 8628, 3.4."""
        try:
            form = await _form(request)
            granted = self._redeem(form)
        except OAuthError as error:
            return _refused(error)
        refresh = self._grants.refresh_token(granted)
        more = {"refresh_token": refresh} if refresh else {}
        return JsonResponse(self._issuer.issue_to_operator(granted) | more)

    def _redeem(self, form: Form) -> Granted:
        client_id = form.get("client_id", "")
        match form.get("grant_type"):
            case "authorization_code":
                code, uri = form.get("code", ""), form.get("redirect_uri", "")
                verifier = form.get("code_verifier", "")
                return self._grants.redeem_code(code, client_id, uri, verifier)
            case "refresh_token":
                return self._grants.refresh(form.get("refresh_token", ""), client_id)
            case grant if grant == DEVICE_GRANT:
                return self._grants.redeem_device(form.get("device_code", ""), client_id)
            case _:
                raise OAuthError("unsupported_grant_type", "grant_type: not supported")

    async def revoke(self, request: Request) -> Response:
        """End a refresh token."""
        try:
            self._grants.revoke((await _form(request)).get("token", ""))
        except OAuthError as error:
            return _refused(error)
        return JsonResponse({})

    async def device_page(self, request: Request) -> Response:
        """Show the form that approves a device."""
        typed = request.query_params.get("user_code", "")
        return self._page("/device", "Approve a device", {}, _code_field(typed))

    async def decide_device(self, request: Request) -> Response:
        """Approve or deny a device, as the operator that the form names."""
        try:
            form = await _form(request)
            approved = form.get("decision") == "approve"
            code, operator = form.get("user_code", ""), form.get("operator", "")
            self._grants.decide_device(code, operator, approved=approved)
        except OAuthError as error:
            return _message("Not approved", error.description, 400)
        done = f"{operator} is signed in" if approved else "The device was denied"
        return _message(done, "You can close this page and return to the command.")

    async def code_page(self, request: Request) -> Response:
        """Show the form that signs an operator in for a browser."""
        return self._page_of(request.query_params)

    def _page_of(self, fields: Form) -> Response:
        try:
            asked = _code_request(fields)
            self._grants.check(asked)
        except OAuthError as error:
            return _message("Not signed in", error.description, 400)
        return self._page("/authorize", "Sign in", fields, "")

    async def decide_code(self, request: Request) -> Response:
        """Return the browser with a code, or with the operator's refusal."""
        try:
            form = await _form(request)
            asked = _code_request(form)
            self._grants.check(asked)
        except OAuthError as error:
            return _message("Not signed in", error.description, 400)
        try:
            if form.get("decision") != "approve":
                raise OAuthError("access_denied", "the operator has denied it")  # noqa: TRY301
            found = {"code": self._grants.begin_code(asked, form.get("operator", ""))}
        except OAuthError as error:
            found = {"error": error.error, "error_description": error.description}
        query = found | {"state": asked.state, "iss": self._issuer.name}
        return RedirectResponse(f"{asked.redirect_uri}?{urlencode(query)}", 303)

    async def style(self, _request: Request) -> Response:
        """Return the pages' style."""
        return Response(_STYLE, media_type="text/css")

    def _page(self, action: str, title: str, hidden: Form, fields: str) -> Response:
        inputs = "".join(
            f'<input type="hidden" name="{_text(name)}" value="{_text(value)}">'
            for name, value in hidden.items()
        )
        options = "".join(f"<option>{_text(name)}</option>" for name in self._grants.operators)
        choice = f'<label>Operator <select name="operator">{options}</select></label>'
        buttons = (
            '<button name="decision" value="approve">Approve</button>'
            '<button name="decision" value="deny">Deny</button>'
        )
        body = f'<form method="post" action="{action}">{inputs}{fields}{choice}{buttons}</form>'
        return _html(title, body)


def token_route(sign_in: SignIn, of_users: Callable[[Request], Any]) -> Callable[[Request], Any]:
    """Return the handler of `/token`: forms are operators' grants, JSON asks for a user's token."""

    async def token(request: Request) -> Response:
        is_form = request.headers.get("content-type", "").partition(";")[0] == FORM
        response: Response = await (sign_in.token if is_form else of_users)(request)
        return response

    return token


async def _form(request: Request) -> Form:
    """Return the fields of a form; raise OAuthError for one that is not readable or twice there."""
    try:
        return form_fields(await request.body(), MOST_FIELDS)
    except BadFormError as error:
        raise OAuthError("invalid_request", str(error)) from None


def _code_request(fields: Form) -> CodeRequest:
    if fields.get("response_type") != "code":
        raise OAuthError("unsupported_response_type", "response_type: must be code")
    method = fields.get("code_challenge_method")
    return CodeRequest(
        client_id=fields.get("client_id", ""),
        redirect_uri=fields.get("redirect_uri", ""),
        scope=fields.get("scope", ""),
        state=fields.get("state", ""),
        nonce=fields.get("nonce", ""),
        code_challenge=fields.get("code_challenge", "") if method == "S256" else "",
    )


def _refused(error: OAuthError) -> Response:
    return JsonResponse({"error": error.error, "error_description": error.description}, 400)


def _code_field(typed: str) -> str:
    return (
        '<label>Code <input name="user_code" required autocomplete="off" autofocus'
        f' value="{_text(typed)}"></label>'
    )


def _message(title: str, text: str, status: int = 200) -> Response:
    return _html(title, f"<p>{_text(text)}</p>", status)


def _html(title: str, body: str, status: int = 200) -> Response:
    return HTMLResponse(_PAGE.substitute(title=_text(title), body=body), status, _POLICY)


def _text(value: str) -> str:
    return html.escape(value)
