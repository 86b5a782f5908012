"""Verifies tokens against the issuer's published keys (JWKS).

Each key has one algorithm, fixed by its kind; what the token says of keys and algorithms is only
compared. Source: RFC 8725, sections 3.1 and 3.2.
"""

import asyncio
import hashlib
import time
from collections import OrderedDict
from typing import Any

import jwt
from jwt import PyJWK

from gateway.domain import BadTokenError, Caller, caller_of
from service_runtime.errors import Unavailable
from service_runtime.logs import Log
from service_runtime.outside import OutsideClient

REFETCH_AFTER_S = 30.0
CACHED_TOKENS = 50_000
MAX_TOKEN_CHARACTERS = 8192
TYPES = ("at+jwt", "jwt")
OK = 200

_log = Log("tokens")


class TokenVerifier:
    """Turns tokens into callers; verified ones are remembered by hash until they expire."""

    def __init__(
        self, keys: OutsideClient, issuer: str, audience: str, *, allow_rs256: bool = False
    ) -> None:
        self._client = keys
        self._issuer = issuer
        self._audience = audience
        self._rsa_algorithm = "RS256" if allow_rs256 else "PS256"
        self._keys: dict[str, tuple[PyJWK, str]] = {}
        self._fetched_s = -REFETCH_AFTER_S
        self._fetching = asyncio.Lock()
        self._verified: OrderedDict[bytes, Caller] = OrderedDict()

    async def caller(self, token: str) -> Caller:
        """Return who the token speaks for; raise BadTokenError, or Unavailable without any keys."""
        if len(token) > MAX_TOKEN_CHARACTERS:
            raise BadTokenError("token: too long")
        digest = hashlib.sha256(token.encode("utf-8", "replace")).digest()
        known = self._verified.get(digest)
        if known is not None and known.expires_at > time.time():
            return known
        caller = await self._verify(token)
        self._verified[digest] = caller
        if len(self._verified) > CACHED_TOKENS:
            self._verified.popitem(last=False)
        return caller

    async def _verify(self, token: str) -> Caller:
        header = _header(token)
        key, algorithm = await self._key(header.get("kid"))
        if header.get("alg") != algorithm:
            raise BadTokenError("alg: not the key's algorithm")
        if str(header.get("typ", "")).lower() not in TYPES:
            raise BadTokenError("typ: must be at+jwt")
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                issuer=self._issuer,
                audience=self._audience,
                options={"require": ["iss", "aud", "sub", "exp"]},
            )
        except jwt.InvalidTokenError as error:
            raise BadTokenError(_reason(error)) from None
        return caller_of(claims, time.time())

    async def _key(self, kid: Any) -> tuple[PyJWK, str]:
        if not isinstance(kid, str):
            raise BadTokenError("kid: missing")
        if kid not in self._keys:
            await self._fetch()
        if kid not in self._keys:
            raise BadTokenError("kid: unknown")
        return self._keys[kid]

    async def _fetch(self) -> None:
        """Fetch the keys, at most once in 30 s however many unknown ones are asked for."""
        async with self._fetching:
            if time.monotonic() - self._fetched_s < REFETCH_AFTER_S:
                return
            try:
                answer = await self._client.get("")
            except Unavailable:
                if not self._keys:
                    raise
                answer = None
            self._fetched_s = time.monotonic()
            if answer is not None and answer.status == OK:
                self._keep(answer.body)

    def _keep(self, document: Any) -> None:
        """Add the keys that are new; old ones stay, their tokens die within 15 minutes."""
        for entry in document.get("keys", []) if isinstance(document, dict) else []:
            try:
                algorithm = self._algorithm(entry)
                self._keys[entry["kid"]] = (PyJWK(entry, algorithm), algorithm)
            except (jwt.PyJWTError, KeyError, TypeError, AttributeError) as error:
                _log.warning("key_left_out", error_class=type(error).__qualname__)

    def _algorithm(self, entry: dict[str, Any]) -> str:
        match entry.get("kty"), entry.get("crv"):
            case "OKP", "Ed25519":
                return "EdDSA"
            case "EC", "P-256":
                return "ES256"
            case "RSA", _:
                return self._rsa_algorithm
            case _:
                raise KeyError("kty")


def _header(token: str) -> dict[str, Any]:
    try:
        return dict(jwt.get_unverified_header(token))
    except (jwt.InvalidTokenError, ValueError):
        raise BadTokenError("token: malformed") from None


def _reason(error: jwt.InvalidTokenError) -> str:
    match error:
        case jwt.ExpiredSignatureError():
            return "exp: expired"
        case jwt.ImmatureSignatureError():
            return "nbf: not yet valid"
        case jwt.InvalidAudienceError():
            return "aud: not for this service"
        case jwt.InvalidIssuerError():
            return "iss: not our issuer"
        case jwt.MissingRequiredClaimError():
            return f"{error.claim}: missing"
        case _:
            return "token: not valid"
