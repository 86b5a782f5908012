"""Verification of webhooks, as standardwebhooks.com specifies: HMAC-SHA256, or Ed25519."""

import base64
import binascii
import hmac
import json
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

TOLERANCE_S = 300
"""How far a timestamp may be from our clock, in both directions: a recorded message ages."""
_SHORTEST_SECRET = 24
"""Bytes, of the specification. An unset variable must not become a secret."""

Reason = Literal[
    "missing_header", "invalid_header", "too_old", "too_new", "no_match", "invalid_payload"
]


class InvalidWebhook(Exception):  # noqa: N818 - as the other errors
    """A message that is not from Countersign, or not recent. Respond 400, and do nothing else."""

    def __init__(self, reason: Reason, message: str) -> None:
        self.reason = reason
        super().__init__(message)


@dataclass(frozen=True)
class Webhook:
    """A verified message. The same `id` may come more than once: act on it once."""

    id: str
    type: str
    timestamp: str
    data: dict[str, Any]


def verify(
    payload: bytes | str,
    headers: Mapping[str, str],
    secret: str | Iterable[str],
    *,
    now_s: float | None = None,
) -> Webhook:
    """Return the message of a request; raise InvalidWebhook.

    `payload` is the body as it came: JSON that was read and written again has other bytes. `secret`
    is `whsec_…`, or `whpk_…` (Ed25519, needs the package `cryptography`), or several of them, of
    which one must match. Raises ValueError for a secret of another form.
    """
    secrets = [secret] if isinstance(secret, str) else list(secret)
    keys = [_Key.of(one) for one in secrets]
    content = payload.encode() if isinstance(payload, str) else payload
    lower = {name.lower(): value for name, value in headers.items()}
    message_id = _header(lower, "webhook-id")
    timestamp = _header(lower, "webhook-timestamp")
    signatures = _header(lower, "webhook-signature")
    _check_time(timestamp, time.time() if now_s is None else now_s)
    signed = f"{message_id}.{timestamp}.".encode() + content
    found = [_decoded(one) for one in signatures.split()]
    if not any(key.matches(signed, *one) for key in keys for one in found):
        raise InvalidWebhook("no_match", "no signature of webhook-signature matches")
    return _webhook(message_id, content)


@dataclass(frozen=True)
class _Key:
    version: Literal["v1", "v1a"]
    key: bytes

    @classmethod
    def of(cls, secret: str) -> "_Key":
        prefix, _, encoded = secret.partition("_")
        try:
            key = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            key = b""
        if prefix == "whsec" and len(key) >= _SHORTEST_SECRET:
            return cls("v1", key)
        if prefix == "whpk" and len(key) == 32:
            return cls("v1a", key)
        raise ValueError("a secret is whsec_ or whpk_ and a key in Base64")

    def matches(self, signed: bytes, version: str, signature: bytes) -> bool:
        """Whether a signature is of this key. A key is for one algorithm alone."""
        if version != self.version:
            return False
        if version == "v1":
            return hmac.compare_digest(hmac.digest(self.key, signed, "sha256"), signature)
        return _is_ed25519(self.key, signed, signature)


def _is_ed25519(key: bytes, signed: bytes, signature: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - for these keys alone
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415
        Ed25519PublicKey,
    )

    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, signed)
    except InvalidSignature:
        return False
    return True


def _header(headers: Mapping[str, str], name: str) -> str:
    if not headers.get(name):
        raise InvalidWebhook("missing_header", f"the header {name} is missing")
    return headers[name]


def _check_time(timestamp: str, now_s: float) -> None:
    if not re.fullmatch("[0-9]{1,12}", timestamp):
        raise InvalidWebhook("invalid_header", "webhook-timestamp is no number of seconds")
    age_s = now_s - int(timestamp)
    if age_s > TOLERANCE_S:
        raise InvalidWebhook("too_old", f"webhook-timestamp is {age_s:.0f} s old")
    if age_s < -TOLERANCE_S:
        raise InvalidWebhook("too_new", f"webhook-timestamp is {-age_s:.0f} s ahead")


def _decoded(signature: str) -> tuple[str, bytes]:
    version, _, encoded = signature.partition(",")
    try:
        return version, base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return version, b""


def _webhook(message_id: str, content: bytes) -> Webhook:
    try:
        body = json.loads(content)
        kind, timestamp, data = body["type"], body["timestamp"], body["data"]
    except (ValueError, TypeError, KeyError):
        kind = timestamp = data = None
    if isinstance(kind, str) and isinstance(timestamp, str) and isinstance(data, dict):
        return Webhook(message_id, kind, timestamp, data)
    raise InvalidWebhook("invalid_payload", "the body has no type, timestamp, data")
