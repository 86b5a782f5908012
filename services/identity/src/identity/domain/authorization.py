"""The authorization code flow with PKCE. Source: RFC 6749 4.1, RFC 7636, RFC 9700. Pure."""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from urllib.parse import urlencode
from uuid import UUID

from identity.domain.applications import CODE, Client
from identity.domain.refusals import OAuthError

CODE_LIFE = timedelta(seconds=60)
"""RFC 6749, 4.1.2 allows ten minutes; a browser needs a second."""
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_TEXT = re.compile(r"[\x20-\x7e]*")
MOST_STATE, MOST_NONCE, MOST_SCOPE = 1024, 256, 1000
"""Characters."""


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """What an application sends a browser with."""

    client_id: str
    redirect_uri: str
    scope: str
    state: str
    nonce: str
    challenge: str
    method: str
    response_type: str
    response_mode: str
    prompt: str
    by_object: bool
    """It has `request` or `request_uri`, which are not supported."""

    @classmethod
    def of(cls, fields: Mapping[str, str]) -> "AuthorizationRequest":
        """Return the request of a query or form."""
        return cls(
            client_id=fields.get("client_id", ""),
            redirect_uri=fields.get("redirect_uri", ""),
            scope=fields.get("scope", ""),
            state=fields.get("state", ""),
            nonce=fields.get("nonce", ""),
            challenge=fields.get("code_challenge", ""),
            method=fields.get("code_challenge_method", ""),
            response_type=fields.get("response_type", ""),
            response_mode=fields.get("response_mode", ""),
            prompt=fields.get("prompt", ""),
            by_object="request" in fields or "request_uri" in fields,
        )

    @property
    def fields(self) -> dict[str, str]:
        """The fields with which the page sends it again."""
        return {
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "response_type": self.response_type,
            "scope": self.scope,
            "state": self.state,
            "nonce": self.nonce,
            "code_challenge": self.challenge,
            "code_challenge_method": self.method,
        }

    def returned(self, issuer: str, **found: str) -> str:
        """Return the address with which the browser goes back. Source: RFC 9207 for `iss`."""
        state = {"state": self.state} if self.state else {}
        joint = "&" if "?" in self.redirect_uri else "?"
        return f"{self.redirect_uri}{joint}{urlencode(found | state | {'iss': issuer})}"


def check_address(request: AuthorizationRequest, client: Client | None) -> Client:
    """Return the client; raise OAuthError where the browser must not be sent to the address."""
    if client is None or CODE not in client.grants:
        raise OAuthError("invalid_client", "client_id: no application signs people in by this name")
    if request.redirect_uri not in client.redirect_uris:
        raise OAuthError("invalid_request", "redirect_uri: not registered for this application")
    return client


def check(request: AuthorizationRequest) -> None:
    """Raise OAuthError for what is reported to the application, at its address."""
    if request.by_object:
        raise OAuthError("request_not_supported", "request, request_uri: not supported")
    if request.response_type != "code":
        raise OAuthError("unsupported_response_type", "response_type: must be code")
    if request.response_mode not in ("", "query"):
        raise OAuthError("invalid_request", "response_mode: must be query")
    if request.method != "S256" or not _CHALLENGE.fullmatch(request.challenge):
        raise OAuthError("invalid_request", "code_challenge: PKCE with S256 is required")
    _check_text(request)
    if "none" in request.prompt.split():
        raise OAuthError("login_required", "prompt: the person enters the password each time")


def _check_text(request: AuthorizationRequest) -> None:
    for name, value, most in (
        ("state", request.state, MOST_STATE),
        ("nonce", request.nonce, MOST_NONCE),
        ("scope", request.scope, MOST_SCOPE),
    ):
        if len(value) > most or not _TEXT.fullmatch(value):
            raise OAuthError("invalid_request", f"{name}: at most {most} printable characters")


@dataclass(frozen=True, slots=True)
class IssuedCode:
    """An authorization code, as it is stored under its hash."""

    client_id: str
    redirect_uri: str
    challenge: str
    scopes: Sequence[str]
    nonce: str
    user_id: UUID
    session_id: UUID
    signed_in_at: datetime
    expires_at: datetime
    used_at: datetime | None = None


class CodeVerdict(StrEnum):
    """What a presented code leads to."""

    REDEEMED = "redeemed"
    REUSED = "reused"
    """Two parties hold it: what it gave is revoked."""
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Redemption:
    """What a client presents beside the code."""

    client_id: str
    redirect_uri: str
    verifier: str


def judge_code(code: IssuedCode, presented: Redemption, now: datetime) -> CodeVerdict:
    """Decide what a code leads to. A first use with wrong values uses it up, too."""
    if code.used_at is not None:
        return CodeVerdict.REUSED
    is_bound = (code.client_id, code.redirect_uri) == (
        presented.client_id,
        presented.redirect_uri,
    )
    if now < code.expires_at and is_bound and proves(presented.verifier, code.challenge):
        return CodeVerdict.REDEEMED
    return CodeVerdict.REFUSED


def proves(verifier: str, challenge: str) -> bool:
    """Return whether a code verifier has this S256 challenge. Source: RFC 7636, 4.6."""
    if not _VERIFIER.fullmatch(verifier):
        return False
    digest = hashlib.sha256(verifier.encode()).digest()
    found = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return hmac.compare_digest(found, challenge)
