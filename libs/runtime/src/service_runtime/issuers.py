"""Two trusted issuers at once: each has its own keys, and its own users.

A user is known by `sub` alone behind the edge. So the second issuer owns the subjects that begin
with its prefix, the first one owns all others, and neither can name a user of the other.
"""

import base64
import binascii
from dataclasses import dataclass

import orjson

from service_runtime.callers import BadTokenError, Caller
from service_runtime.tokens import MAX_TOKEN_CHARACTERS, Tokens

_PARTS = 3


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """An issuer and what verifies its tokens, by its keys alone."""

    issuer: str
    tokens: Tokens


@dataclass(frozen=True, slots=True)
class TwoIssuers:
    """Verifies a token by the keys of the issuer that it names, and by no other keys."""

    first: TrustedIssuer
    second: TrustedIssuer
    second_prefix: str
    """What the second issuer's subjects begin with."""

    async def caller(self, token: str) -> Caller:
        """Return the caller; raise BadTokenError, or Unavailable without keys of its issuer."""
        issuer = self._named(_claimed_issuer(token))
        # Verifies `iss` again, with the signature.
        caller = await issuer.tokens.caller(token)
        if caller.user_id.startswith(self.second_prefix) is not (issuer is self.second):
            raise BadTokenError("sub: not a subject of this issuer")
        return caller

    def _named(self, claimed: object) -> TrustedIssuer:
        for issuer in (self.first, self.second):
            if issuer.issuer == claimed:
                return issuer
        raise BadTokenError("iss: not our issuer")


def _claimed_issuer(token: str) -> object:
    """Return the `iss` of a token that is not verified yet."""
    parts = token.split(".")
    if len(token) > MAX_TOKEN_CHARACTERS or len(parts) != _PARTS:
        raise BadTokenError("token: malformed")
    payload = parts[1]
    try:
        claims = orjson.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (binascii.Error, ValueError):
        raise BadTokenError("token: malformed") from None
    return claims.get("iss") if isinstance(claims, dict) else None
