"""Verifies tokens against the issuer's published keys (JWKS).

Each key has one algorithm, fixed by its kind; what the token says of keys and algorithms is only
compared. Source: RFC 8725, sections 3.1 and 3.2.
"""

import asyncio
import hashlib
import time
from collections import OrderedDict
from dataclasses import dataclass
from math import inf
from typing import Any, Protocol

import jwt
from jwt import PyJWK

from gateway.domain import (
    CLOCK_LEEWAY_S,
    MAX_TOKEN_LIFE_S,
    BadTokenError,
    Caller,
    caller_of,
)
from service_runtime.errors import Unavailable
from service_runtime.logs import Log
from service_runtime.outside import OutsideAnswer

REFETCH_AFTER_S = 30.0
CACHED_TOKENS = 50_000
MAX_TOKEN_CHARACTERS = 8192
TYPES = ("at+jwt", "jwt")
OK = 200

_log = Log("tokens")


class Tokens(Protocol):
    """Who a token speaks for."""

    async def caller(self, token: str) -> Caller:
        """Return the caller; raise BadTokenError, or Unavailable without any keys."""
        ...


class Keys(Protocol):
    """Where the issuer publishes its keys."""

    async def get(self, path: str) -> OutsideAnswer:
        """Return the document; raise Unavailable."""
        ...


@dataclass(slots=True)
class _Key:
    """A published key and its one algorithm."""

    key: PyJWK
    algorithm: str
    dies_s: float = inf
    """Unix time at which the last token of a key that is no longer published has expired."""


class TokenVerifier:
    """Turns tokens into callers; verified ones are remembered by hash until they expire."""

    def __init__(
        self, keys: Keys, issuer: str, audience: str, *, allow_rs256: bool = False
    ) -> None:
        self._client = keys
        self._issuer = issuer
        self._audience = audience
        self._allow_rs256 = allow_rs256
        self._keys: dict[str, _Key] = {}
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
        key = await self._key(header.get("kid"))
        if header.get("alg") != key.algorithm:
            raise BadTokenError("alg: not the key's algorithm")
        if str(header.get("typ", "")).lower() not in TYPES:
            raise BadTokenError("typ: must be at+jwt")
        if "crit" in header:
            raise BadTokenError("crit: not known")
        try:
            claims = jwt.decode(
                token,
                key.key,
                algorithms=[key.algorithm],
                issuer=self._issuer,
                audience=self._audience,
                options={"require": ["iss", "aud", "sub", "exp"]},
            )
        except jwt.InvalidTokenError as error:
            raise BadTokenError(_reason(error)) from None
        except (OverflowError, RecursionError):
            raise BadTokenError("token: not valid") from None
        return caller_of(claims, time.time())

    async def _key(self, kid: Any) -> _Key:
        if not isinstance(kid, str):
            raise BadTokenError("kid: missing")
        if kid not in self._keys:
            await self._fetch()
        key = self._keys.get(kid)
        if key is None or key.dies_s <= time.time():
            raise BadTokenError("kid: unknown")
        return key

    async def _fetch(self) -> None:
        """Fetch the keys, at most once in 30 s however many unknown ones are asked for."""
        async with self._fetching:
            if time.monotonic() - self._fetched_s < REFETCH_AFTER_S:
                return
            try:
                document = await self._published()
            except Unavailable:
                if not self._keys:
                    raise
                document = None
            self._fetched_s = time.monotonic()
            if document is not None:
                self._keep(document)

    async def _published(self) -> dict[str, Any]:
        answer = await self._client.get("")
        if answer.status != OK or not isinstance(answer.body, dict):
            raise Unavailable("the issuer publishes no keys")
        return answer.body

    def _keep(self, document: dict[str, Any]) -> None:
        """Take the keys; one that is gone stays until its last token has died, and no longer."""
        entries = document.get("keys")
        found = dict(filter(None, map(self._read, entries if isinstance(entries, list) else [])))
        now_s = time.time()
        for kid, key in self._keys.items():
            if kid not in found:
                key.dies_s = min(key.dies_s, now_s + MAX_TOKEN_LIFE_S + CLOCK_LEEWAY_S)
        kept = {kid: key for kid, key in self._keys.items() if key.dies_s > now_s}
        self._keys = {**kept, **found}

    def _read(self, entry: Any) -> tuple[str, _Key] | None:
        try:
            algorithm = _algorithm(entry, allow_rs256=self._allow_rs256)
            return str(entry["kid"]), _Key(PyJWK(entry, algorithm), algorithm)
        except (jwt.PyJWTError, ValueError, KeyError, TypeError, AttributeError) as error:
            _log.warning("key_left_out", error_class=type(error).__qualname__)
            return None


def _algorithm(entry: dict[str, Any], *, allow_rs256: bool) -> str:
    """Return the one algorithm of a key, fixed by its kind; raise KeyError where there is none."""
    declared = entry.get("alg")
    match entry.get("kty"), entry.get("crv"):
        case "OKP", "Ed25519":
            algorithm = "EdDSA"
        case "EC", "P-256":
            algorithm = "ES256"
        case "RSA", _:
            algorithm = "RS256" if allow_rs256 and declared != "PS256" else "PS256"
        case _:
            raise KeyError("kty")
    if declared not in (None, algorithm) or entry.get("use") not in (None, "sig"):
        raise KeyError("alg")
    return algorithm


def _header(token: str) -> dict[str, Any]:
    try:
        return dict(jwt.get_unverified_header(token))
    except (jwt.InvalidTokenError, ValueError, RecursionError):
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
