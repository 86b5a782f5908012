"""Signed access tokens of users and clients, and what verifies them here. Source: RFC 9068."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from service_runtime.clock import Clock
from service_runtime.http_client import HttpResponse
from service_runtime.keys import KeyRing
from service_runtime.sealing import key_set


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token says of its holder."""

    subject: str
    client_id: str
    audience: str
    scopes: Iterable[str]
    session_id: str = ""


@dataclass(frozen=True, slots=True)
class TokenIssuer:
    """Signs with the current key of a ring; all keys of the ring are published."""

    keys: KeyRing
    issuer: str
    audience: str
    """Of users' and clients' tokens."""
    operator_audience: str
    life_s: int
    clock: Clock

    def issue(self, grant: Grant) -> str:
        """Return a token with the claims that gateway and services verify."""
        now, key = self.clock.now(), self.keys.current
        claims = {
            "iss": self.issuer,
            "sub": grant.subject,
            "aud": grant.audience,
            "client_id": grant.client_id,
            "scope": " ".join(sorted(grant.scopes)),
            "jti": str(self.clock.new_id()),
            "iat": now,
            "nbf": now,
            "exp": now + timedelta(seconds=self.life_s),
        }
        if grant.session_id:
            claims["sid"] = grant.session_id
        private = Ed25519PrivateKey.from_private_bytes(key.material)
        return jwt.encode(claims, private, "EdDSA", {"typ": "at+jwt", "kid": key.id})


@dataclass(frozen=True, slots=True)
class OwnKeys:
    """The published keys, as a verifier in this process fetches them."""

    keys: KeyRing

    async def get(self, _path: str) -> HttpResponse:
        """Return the key set."""
        return HttpResponse(200, key_set(self.keys))
