"""Verification of access tokens against the issuer's published keys (JWKS).

The key's type fixes its one algorithm; the algorithm that a token names must be equal to it, and
keys inside a token are ignored. Source: RFC 8725, sections 3.1 and 3.2.
"""

import asyncio
import contextlib
import hashlib
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import inf
from types import MappingProxyType
from typing import Any, Protocol

import jwt
from jwt import PyJWK

from service_runtime.callers import CLOCK_LEEWAY_S, BadTokenError, Caller, caller_of
from service_runtime.errors import Unavailable
from service_runtime.http_client import HttpResponse
from service_runtime.logs import Log

KEYS_LIVE_S = 300.0
"""Longest use of fetched keys: a key that the issuer withdraws is refused by then."""
REFRESH_AFTER_S = 60.0
"""Keys are fetched again after this time, so an issuer may be down for four minutes unnoticed."""
RETRY_AFTER_S = 5.0
REFETCH_AFTER_S = 30.0
"""Shortest time between two fetches for an unknown `kid`: anyone can invent one."""
MIN_RSA_BITS = 2048
"""Source: NIST SP 800-131A."""
RSA_ALGORITHMS = ("PS256", "RS256")
CACHED_TOKENS = 50_000
MAX_TOKEN_CHARACTERS = 8192
TYPES = ("at+jwt", "application/at+jwt")
"""Source: RFC 9068, section 4. The type of an ID token (`JWT`) is refused."""
OK = 200

_log = Log("tokens")


class Tokens(Protocol):
    """Verifies access tokens."""

    async def caller(self, token: str) -> Caller:
        """Return the caller; raise BadTokenError, or Unavailable while there are no keys."""
        ...


class Keys(Protocol):
    """Fetches the issuer's key set."""

    async def get(self, path: str) -> HttpResponse:
        """Return the document; raise Unavailable."""
        ...


@dataclass(frozen=True, slots=True)
class _Key:
    """A published key and its one algorithm."""

    entry: Any
    key: PyJWK
    algorithm: str


@dataclass(frozen=True, slots=True)
class TokenRules:
    """Which tokens are accepted."""

    issuer: str
    audience: str
    allow_rs256: bool = False
    refused_kids: frozenset[str] = frozenset()
    """Keys that are refused at once, even while the issuer publishes them: for an emergency."""


class TokenVerifier:
    """Verifies tokens; caches verified ones by their hash until they expire.

    A token is accepted only under a key that was fetched within the last five minutes. So a
    withdrawn key is refused by then, and so is every token while the issuer is down for longer.
    """

    def __init__(self, client: Keys, rules: TokenRules) -> None:
        self._client = client
        self._rules = rules
        self._keys: dict[str, _Key] = {}
        self._fetched_s = self._tried_s = -inf
        self._fetching: asyncio.Task[None] | None = None
        self._verified: OrderedDict[bytes, tuple[_Key, Caller]] = OrderedDict()

    async def caller(self, token: str) -> Caller:
        """Return the caller; raise BadTokenError, or Unavailable while there are no keys."""
        if len(token) > MAX_TOKEN_CHARACTERS:
            raise BadTokenError("token: too long")
        await self._keep_fresh()
        digest = hashlib.sha256(token.encode("utf-8", "replace")).digest()
        key, known = self._verified.get(digest, (None, None))
        if known is not None and known.expires_at > time.time() and self._is_published(key):
            return known
        key, caller = await self._verify(token)
        self._verified[digest] = key, caller
        if len(self._verified) > CACHED_TOKENS:
            self._verified.popitem(last=False)
        return caller

    def _is_published(self, key: _Key | None) -> bool:
        return key is not None and self._keys.get(str(key.entry["kid"])) is key

    async def _verify(self, token: str) -> tuple[_Key, Caller]:
        header = _header(token)
        key = await self._key(header.get("kid"))
        if header.get("alg") != key.algorithm:
            raise BadTokenError("alg: not the key's algorithm")
        if str(header.get("typ", "")).lower() not in TYPES:
            raise BadTokenError("typ: must be at+jwt")
        if "crit" in header:
            raise BadTokenError("crit: not known")
        return key, caller_of(self._claims(token, key), time.time())

    def _claims(self, token: str, key: _Key) -> dict[str, Any]:
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key.key,
                algorithms=[key.algorithm],
                issuer=self._rules.issuer,
                audience=self._rules.audience,
                leeway=CLOCK_LEEWAY_S,
                options={"require": ["iss", "aud", "sub", "exp"]},
            )
        except jwt.InvalidTokenError as error:
            raise BadTokenError(_reason(error)) from None
        except (OverflowError, RecursionError):
            raise BadTokenError("token: not valid") from None
        return claims

    async def _key(self, kid: Any) -> _Key:
        if not isinstance(kid, str):
            raise BadTokenError("kid: missing")
        if kid in self._rules.refused_kids:
            raise BadTokenError("kid: refused")
        if kid not in self._keys and time.monotonic() - self._tried_s >= REFETCH_AFTER_S:
            with contextlib.suppress(Unavailable):
                await self._fetch()
        key = self._keys.get(kid)
        if key is None:
            raise BadTokenError("kid: unknown")
        return key

    async def _keep_fresh(self) -> None:
        """Fetch the keys again in the background; wait for the fetch only where they are too old.

        Raises Unavailable where they are too old and the issuer does not respond.
        """
        now_s = time.monotonic()
        age_s = now_s - self._fetched_s
        if age_s < REFRESH_AFTER_S:
            return
        if age_s >= KEYS_LIVE_S:
            await self._fetch()
        elif now_s - self._tried_s >= RETRY_AFTER_S:
            self._start_fetch()

    async def _fetch(self) -> None:
        """Wait for one fetch, shared by all waiting requests; raise Unavailable."""
        await asyncio.shield(self._start_fetch())

    def _start_fetch(self) -> asyncio.Task[None]:
        if self._fetching is None or self._fetching.done():
            self._tried_s = time.monotonic()
            self._fetching = asyncio.create_task(self._refetch())
            # Marks the exception as retrieved, or asyncio logs it where no request awaits the task.
            self._fetching.add_done_callback(lambda task: task.cancelled() or task.exception())
        return self._fetching

    async def _refetch(self) -> None:
        requested_s = time.monotonic()
        try:
            self._keys = self._read_all(await self._published())
        except Unavailable as error:
            _log.warning("keys_not_fetched", error_class=type(error).__qualname__)
            raise
        self._fetched_s = requested_s

    async def _published(self) -> Any:
        response = await self._client.get("")
        if response.status != OK or not isinstance(response.body, dict):
            raise Unavailable("the issuer publishes no keys")
        return response.body.get("keys")

    def _read_all(self, entries: Any) -> dict[str, _Key]:
        """Return the usable keys; raise Unavailable if there is none: the old keys stay."""
        read = map(self._read, entries if isinstance(entries, list) else [])
        found = {str(key.entry["kid"]): key for key in read if key is not None}
        if not found:
            raise Unavailable("the issuer publishes no usable key")
        return {kid: self._same(key) for kid, key in found.items()}

    def _same(self, key: _Key) -> _Key:
        """Return the known key if it is unchanged, so that tokens verified under it stay cached."""
        known = self._keys.get(str(key.entry["kid"]))
        return known if known is not None and known.entry == key.entry else key

    def _read(self, entry: Any) -> _Key | None:
        try:
            if str(entry["kid"]) in self._rules.refused_kids:
                return None
            algorithm = _algorithm(entry, allow_rs256=self._rules.allow_rs256)
            key = PyJWK(entry, algorithm)
        except (jwt.PyJWTError, ValueError, KeyError, TypeError, AttributeError) as error:
            _log.warning("key_left_out", error_class=type(error).__qualname__)
            return None
        if algorithm in RSA_ALGORITHMS and key.key.key_size < MIN_RSA_BITS:
            _log.warning("key_left_out", reason="an RSA key below 2048 bits")
            return None
        return _Key(entry, key, algorithm)


def _algorithm(entry: dict[str, Any], *, allow_rs256: bool) -> str:
    """Return the one algorithm of a key, fixed by its type; raise KeyError where there is none."""
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


def _header(token: str) -> Mapping[str, Any]:
    return _read_header(token.partition(".")[0])


@lru_cache(maxsize=256)
def _read_header(segment: str) -> Mapping[str, Any]:
    """Read a token's header; all tokens under one key have the same."""
    try:
        return MappingProxyType(jwt.get_unverified_header(f"{segment}.."))
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        raise BadTokenError("token: malformed") from None


def _reason(error: jwt.InvalidTokenError) -> str:
    match error:
        case jwt.ExpiredSignatureError():
            return "exp: expired"
        case jwt.ImmatureSignatureError():
            return "iat: in the future" if "iat" in str(error) else "nbf: not yet valid"
        case jwt.InvalidAudienceError():
            return "aud: not for this service"
        case jwt.InvalidIssuerError():
            return "iss: not our issuer"
        case jwt.MissingRequiredClaimError():
            return f"{error.claim}: missing"
        case _:
            return "token: not valid"
