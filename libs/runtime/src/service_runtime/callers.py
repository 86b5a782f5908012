"""Rules for the claims of a verified token. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_TOKEN_LIFE_S = 15 * 60
CLOCK_LEEWAY_S = 30
MAX_SUBJECT_CHARACTERS = 128


@dataclass(frozen=True, slots=True)
class Caller:
    """The user that a verified token was issued to."""

    user_id: str
    scopes: frozenset[str]
    expires_at: float
    """Unix time."""


class BadTokenError(ValueError):
    """The token is not valid; the text names the rule and never quotes the token."""


def caller_of(claims: Mapping[str, Any], now: float) -> Caller:
    """Return the caller of verified claims; raise BadTokenError where a rule is broken.

    Signature, issuer, audience, `exp` and `nbf` have been checked. Source: RFC 9068, RFC 8725.
    """
    subject, expires_at = claims.get("sub"), claims.get("exp")
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT_CHARACTERS:
        raise BadTokenError("sub: must be 1 to 128 characters")
    if not subject.isprintable():
        # PostgreSQL stores no NUL, and UTF-8 encodes no lone surrogate.
        raise BadTokenError("sub: must be printable")
    if not isinstance(expires_at, int | float):
        raise BadTokenError("exp: must be a number")
    if expires_at <= now:
        # The leeway applies to `iat` and `nbf` only.
        raise BadTokenError("exp: expired")
    if expires_at > now + MAX_TOKEN_LIFE_S + CLOCK_LEEWAY_S:
        raise BadTokenError("exp: lives longer than 15 minutes")
    scopes = claims.get("scope", "")
    if not isinstance(scopes, str):
        raise BadTokenError("scope: must be a string")
    return Caller(subject, frozenset(scopes.split()), float(expires_at))


def bearer_token(authorization: str) -> str:
    """Return the token of an Authorization header; raise BadTokenError where it has none."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token or " " in token:
        raise BadTokenError("A bearer token is required")
    return token
