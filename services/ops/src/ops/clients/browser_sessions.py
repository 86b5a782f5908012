"""Sessions of browsers in Redis, sealed under secrets that the browsers alone hold.

What Redis holds shows nobody's tokens, and its keys open no session: each is the hash of a secret,
and the value is encrypted under another one (AES-256-GCM).
"""

import hmac
import json
import os
from collections.abc import Mapping
from typing import Any, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from ops.domain.errors import UnavailableError
from service_runtime.edge.limits import connection_options

_PREFIX = "session/ops"
_NONCE_BYTES = 12
Fields = Mapping[str, Any]


class Values(Protocol):
    """The commands of Redis that sessions need. Methods raise RedisError or OSError."""

    def set(self, name: str, value: bytes, *, ex: int) -> Any: ...
    def getex(self, name: str, *, ex: int) -> Any: ...
    def getdel(self, name: str) -> Any: ...
    def delete(self, name: str) -> Any: ...


def redis_of(url: str, password: str | None, tls_ca: str) -> Redis:
    """Return a client of Redis with the deadlines of all services."""
    options = connection_options(url, password, tls_ca)
    client: Redis = Redis.from_url(url, **options, retry=Retry(NoBackoff(), 1))
    return client


class BrowserSessions:
    """Fields by secret. Methods raise UnavailableError without Redis."""

    def __init__(self, values: Values, kind: str) -> None:
        self._values = values
        self._kind = kind

    def put(self, secret: str, fields: Fields, idle_s: int) -> None:
        """Keep fields under a secret until they have not been read for a time."""
        nonce = os.urandom(_NONCE_BYTES)
        raw = nonce + _cipher(secret).encrypt(nonce, json.dumps(fields).encode(), None)
        try:
            self._values.set(self._name(secret), raw, ex=idle_s)
        except (RedisError, OSError):
            raise _away() from None

    def get(self, secret: str, idle_s: int) -> dict[str, Any] | None:
        """Return the fields under a secret, kept for a further time; None where there are none."""
        try:
            raw = self._values.getex(self._name(secret), ex=idle_s)
        except (RedisError, OSError):
            raise _away() from None
        return _opened(secret, raw)

    def take(self, secret: str) -> dict[str, Any] | None:
        """Return the fields under a secret, once."""
        try:
            raw = self._values.getdel(self._name(secret))
        except (RedisError, OSError):
            raise _away() from None
        return _opened(secret, raw)

    def end(self, secret: str) -> None:
        """Forget what is under a secret."""
        try:
            self._values.delete(self._name(secret))
        except (RedisError, OSError):
            raise _away() from None

    def _name(self, secret: str) -> str:
        return f"{_PREFIX}/{self._kind}/{_derived(secret, b'name').hex()}"


def _derived(secret: str, purpose: bytes) -> bytes:
    return hmac.digest(secret.encode(), purpose, "sha256")


def _cipher(secret: str) -> AESGCM:
    return AESGCM(_derived(secret, b"seal"))


def _opened(secret: str, raw: bytes | None) -> dict[str, Any] | None:
    if raw is None:
        return None
    try:
        plain = _cipher(secret).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], None)
    except InvalidTag:
        return None
    found: dict[str, Any] = json.loads(plain)
    return found


def _away() -> UnavailableError:
    return UnavailableError("Redis, which keeps the sessions, does not respond", "make status")
