"""Sign-ins under way, kept by the browsers themselves: who has not signed in fills no store.

A cookie holds the fields, encrypted (AES-256-GCM) under a key of its own that is derived from a
secret of the console's processes, with the time at which they end. An authorization code can be
redeemed once at its issuer, so that a cookie that is sent again signs nobody in.
"""

import base64
import binascii
import hmac
import json
import os
from collections.abc import Callable, Mapping
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from service_runtime.clock import Clock

_PURPOSE = b"sign-in of the console"
_SALT_BYTES, _NONCE_BYTES = 16, 12
_ENDS_AT = "ends_at"


class BegunSignIns:
    """Seals and opens the fields of a sign-in. Raises UnavailableError without the secret."""

    def __init__(self, secret: Callable[[], str], clock: Clock) -> None:
        self._secret = secret
        self._clock = clock

    def sealed(self, fields: Mapping[str, Any], life_s: int) -> str:
        """Return fields as text for a cookie, to be opened within a time."""
        salt, nonce = os.urandom(_SALT_BYTES), os.urandom(_NONCE_BYTES)
        plain = json.dumps({**fields, _ENDS_AT: self._now() + life_s}).encode()
        raw = salt + nonce + self._cipher(salt).encrypt(nonce, plain, _PURPOSE)
        return base64.urlsafe_b64encode(raw).decode()

    def opened(self, text: str) -> dict[str, Any] | None:
        """Return the fields; None where the text is not of this console, or its time is over."""
        try:
            raw = base64.b64decode(text, b"-_", validate=True)
            salt, nonce = raw[:_SALT_BYTES], raw[_SALT_BYTES : _SALT_BYTES + _NONCE_BYTES]
            sealed = raw[_SALT_BYTES + _NONCE_BYTES :]
            plain = self._cipher(salt).decrypt(nonce, sealed, _PURPOSE)
        except (InvalidTag, binascii.Error, ValueError):
            return None
        fields: dict[str, Any] = json.loads(plain)
        return fields if fields.pop(_ENDS_AT) > self._now() else None

    def _cipher(self, salt: bytes) -> AESGCM:
        return AESGCM(hmac.digest(self._secret().encode(), _PURPOSE + salt, "sha256"))

    def _now(self) -> float:
        return self._clock.now().timestamp()
