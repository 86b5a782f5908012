"""Signed access tokens of users and clients, and what verifies them here. Source: RFC 9068."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from service_runtime.clock import Clock
from service_runtime.http_client import HttpResponse
from service_runtime.keys import KeyRing
from service_runtime.sealing import key_set

_OF_ANY_AGE: Any = {"verify_exp": False, "verify_aud": False, "require": ["iss", "aud", "sid"]}


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token says of its holder."""

    subject: str
    client_id: str
    audience: str
    scopes: Iterable[str]
    session_id: str = ""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What an ID token says. Source: OpenID Connect Core 1.0, 2."""

    subject: str
    client_id: str
    session_id: str
    at: datetime
    """When the person has entered the password."""
    nonce: str = ""


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
        now = self.clock.now()
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
        return self._signed(claims, "at+jwt")

    def issue_id(self, signed_in: SignedIn) -> str:
        """Return an ID token: it says to one application who has signed in, and admits nowhere."""
        now = self.clock.now()
        claims = {
            "iss": self.issuer,
            "sub": signed_in.subject,
            "aud": signed_in.client_id,
            "sid": signed_in.session_id,
            "auth_time": int(signed_in.at.timestamp()),
            "iat": now,
            "exp": now + timedelta(seconds=self.life_s),
        }
        if signed_in.nonce:
            claims["nonce"] = signed_in.nonce
        return self._signed(claims, "JWT")

    def session_of(self, id_token: str) -> tuple[str, str] | None:
        """Return application and session of an ID token of this issuer, also of an expired one."""
        try:
            key = self.keys.find(str(jwt.get_unverified_header(id_token).get("kid")))
            if key is None:
                return None
            public = Ed25519PrivateKey.from_private_bytes(key.material).public_key()
            claims = jwt.decode(
                id_token, public, ["EdDSA"], issuer=self.issuer, options=_OF_ANY_AGE
            )
        except (jwt.PyJWTError, ValueError):
            return None
        # An access token has no `auth_time`.
        return (str(claims["aud"]), str(claims["sid"])) if "auth_time" in claims else None

    def _signed(self, claims: Mapping[str, Any], kind: str) -> str:
        key = self.keys.current
        private = Ed25519PrivateKey.from_private_bytes(key.material)
        return jwt.encode(dict(claims), private, "EdDSA", {"typ": kind, "kid": key.id})


@dataclass(frozen=True, slots=True)
class OwnKeys:
    """The published keys, as a verifier in this process fetches them."""

    keys: KeyRing

    async def get(self, _path: str) -> HttpResponse:
        """Return the key set."""
        return HttpResponse(200, key_set(self.keys))
