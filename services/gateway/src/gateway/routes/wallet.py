"""`/app`: the wallet page, and what it needs of the mocks. In the development profile only.

Other origins cannot use these routes: no response allows them by CORS, and a POST must be JSON,
for which a browser asks first.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from gateway.clients.wallet import PAGE, Demonstration, PageFile
from payment_schemas import answers
from payment_schemas.answers import RefusedError
from service_runtime.errors import Unavailable
from service_runtime.web import App, JsonResponse

PATH = "/app"
MAX_BODY_BYTES = 1024
# Script, style and requests only of this server; no frame, no form that leaves the page.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_ALWAYS_ASK = "no-cache"
_FOR_EVER = "public, max-age=31536000, immutable"
_HASHED = re.compile(r"-[0-9A-Z]{8}\.(?:js|css)\Z")
"""A name that the build changes with the content."""
_USER = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")
_PHONE = re.compile(r"\+[0-9]{5,15}\Z")


@dataclass(frozen=True, slots=True)
class WalletRoutes:
    """The page with its files, sign-in of demonstration customers, and their messages."""

    files: Mapping[str, PageFile]
    demonstration: Demonstration

    def add_to(self, app: App) -> None:
        """Serve the routes; they are no part of the API's description."""
        for path in (PATH, f"{PATH}/"):
            app.add_route(path, self.page, methods=["GET"], include_in_schema=False)
        demo = f"{PATH}/demo"
        app.add_route(f"{demo}/token", self.token, methods=["POST"], include_in_schema=False)
        app.add_route(f"{demo}/messages", self.messages, methods=["GET"], include_in_schema=False)
        app.add_route(f"{PATH}/{{name}}", self.file, methods=["GET"], include_in_schema=False)

    async def page(self, request: Request) -> Response:
        """Return the page."""
        return _sent(request, self.files[PAGE], _ALWAYS_ASK)

    async def file(self, request: Request) -> Response:
        """Return a file of the page, by its exact name."""
        name = request.path_params["name"]
        if name not in self.files or name == PAGE:
            raise HTTPException(404, "Not found")
        return _sent(request, self.files[name], _FOR_EVER if _HASHED.search(name) else _ALWAYS_ASK)

    async def token(self, request: Request) -> Response:
        """Return an access token of a demonstration customer; raise RefusedError."""
        user = await _user(request)
        try:
            return JsonResponse(await self.demonstration.token(user))
        except Unavailable:
            raise RefusedError(answers.unavailable()) from None

    async def messages(self, request: Request) -> Response:
        """Return the last SMS to a phone, newest first; raise RefusedError."""
        phone = request.query_params.get("to", "")
        if not _PHONE.match(phone):
            raise RefusedError(answers.invalid_field("to", "must be a phone number, +15550100456"))
        try:
            return JsonResponse({"messages": await self.demonstration.messages(phone)})
        except Unavailable:
            raise RefusedError(answers.unavailable()) from None


async def _user(request: Request) -> str:
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise RefusedError(answers.unsupported_media_type())
    request.state.body.allow(MAX_BODY_BYTES)
    try:
        body = orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        raise RefusedError(answers.malformed_json()) from None
    user = body.get("user") if isinstance(body, dict) else None
    if not isinstance(user, str) or not _USER.match(user):
        raise RefusedError(answers.invalid_field("user", "must be a user's id, such as usr-456"))
    return user


def _sent(request: Request, file: PageFile, cache_control: str) -> Response:
    headers = {
        "Cache-Control": cache_control,
        "Content-Security-Policy": POLICY,
        "Cross-Origin-Resource-Policy": "same-origin",
        "ETag": file.etag,
    }
    if request.headers.get("if-none-match") == file.etag:
        return Response(status_code=304, headers=headers)
    return Response(file.body, headers=headers, media_type=file.media_type)
