"""Signed access tokens, and the keys to verify them."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import StringConstraints

from mocks.bodies import Body
from mocks.settings import IssuerSettings
from service_runtime.clock import Clock

LIFETIME = timedelta(minutes=15)
"""The maximum that the gateway accepts."""


class TokenRequest(Body):
    """Subject and scope of a token."""

    sub: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    scope: Annotated[str, StringConstraints(max_length=1000)] = "payment.confirm"
    """Scopes, separated by spaces."""


@dataclass(frozen=True, slots=True)
class Granted:
    """What an operator has granted to a client."""

    operator: str
    client_id: str
    scopes: tuple[str, ...]
    nonce: str = ""


class Issuer:
    """Signs with one Ed25519 key. Source of the token's shape: RFC 9068."""

    def __init__(self, settings: IssuerSettings, clock: Clock) -> None:
        self._key = settings.signing_key
        self.name = settings.token_issuer
        self._users, self._operators = settings.token_audience, settings.operator_audience
        self._clock = clock
        self._public = _public_members(self._key)
        self._kid = thumbprint(self._public)

    def jwks(self) -> dict[str, Any]:
        """Return the public key as a key set. Source: RFC 7517, RFC 8037."""
        about = {"kid": self._kid, "alg": "EdDSA", "use": "sig"}
        return {"keys": [{**self._public, **about}]}

    def issue(self, request: TokenRequest) -> dict[str, Any]:
        """Return a user's token and its lifetime."""
        return self._reply({"aud": self._users, "sub": request.sub, "scope": request.scope})

    def issue_to_operator(self, granted: Granted) -> dict[str, Any]:
        """Return an operator's token; with the scope `openid` an ID token, too."""
        scope, subject = " ".join(granted.scopes), {"sub": granted.operator}
        own = {"aud": self._operators, "client_id": granted.client_id, "scope": scope}
        reply = self._reply(subject | own) | {"scope": scope}
        if "openid" in granted.scopes:
            nonce = {"nonce": granted.nonce} if granted.nonce else {}
            reply["id_token"] = self._signed(subject | {"aud": granted.client_id} | nonce, "JWT")
        return reply

    def _reply(self, claims: Mapping[str, str]) -> dict[str, Any]:
        token, lifetime_s = self._signed(claims, "at+jwt"), int(LIFETIME.total_seconds())
        return {"access_token": token, "token_type": "Bearer", "expires_in": lifetime_s}

    def _signed(self, claims: Mapping[str, str], kind: str) -> str:
        now, jti = self._clock.now(), str(self._clock.new_id())
        times = {"iat": now, "nbf": now, "exp": now + LIFETIME}
        all_claims: dict[str, Any] = {"iss": self.name, "jti": jti, **claims, **times}
        headers = {"typ": kind, "kid": self._kid}
        return jwt.encode(all_claims, self._key, algorithm="EdDSA", headers=headers)


def thumbprint(public: dict[str, str]) -> str:
    """Return a key's id: the hash of its required members, sorted. Source: RFC 7638."""
    return _base64url(hashlib.sha256(orjson.dumps(public, option=orjson.OPT_SORT_KEYS)).digest())


def _public_members(key: Ed25519PrivateKey) -> dict[str, str]:
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return {"crv": "Ed25519", "kty": "OKP", "x": _base64url(raw)}


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
