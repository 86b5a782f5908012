"""Confirming a payment as a client does: token, request, and the exit code of the response."""

from collections.abc import Mapping
from typing import Any

from ops.clients.system import HttpResponse, System
from ops.domain.errors import REFUSED, UNAVAILABLE

SUCCESS = 0
CODE_ASKED = 3
PENDING = 4
SHOWN_HEADERS = (
    "idempotent-replayed",
    "retry-after",
    "location",
    "ratelimit",
    "ratelimit-policy",
    "www-authenticate",
    "x-request-id",
)
"""Headers about the payment or the caller."""


def token_of(system: System, user: str, scope: str = "payment.confirm") -> str:
    """Return an access token of a user from the development issuer."""
    issued = system.post("issuer", "/token", {"sub": user, "scope": scope})
    return str(issued["access_token"])


def authorization(token: str | None) -> dict[str, str]:
    """Return the header for a token, or none for an anonymous caller."""
    return {"Authorization": f"Bearer {token}"} if token else {}


def confirm(system: System, body: Mapping[str, Any], headers: Mapping[str, str]) -> HttpResponse:
    """Send `POST /payment/confirm`; fields that are None are left out."""
    given = {name: value for name, value in body.items() if value is not None}
    return system.ask("POST", "/payment/confirm", given, headers)


def exit_code_of(status: int, body: Any) -> int:
    """Return the exit code for a response.

    0 confirmed, 3 a code is required, 4 not decided yet, 1 refused, 2 not accepted.
    """
    fields = body if isinstance(body, dict) else {}
    if status == 200:
        return SUCCESS
    if status == 202 or fields.get("error") == "Request in progress":
        return PENDING
    if fields.get("status") == "OTP_REQUIRED":
        return CODE_ASKED
    return UNAVAILABLE if status >= 500 else REFUSED
