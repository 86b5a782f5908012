"""Encryption of confirmations: between here and Countersign's confirm service nobody reads them.

A compact JWE (RFC 7516) under a key that the gateway publishes, made by joserfc.
"""

import base64
import json
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from countersign_client.answers import Answer
from countersign_client.errors import UnexpectedAnswer

KEYS_PATH = "/.well-known/e2e-jwks.json"
CONTENT_TYPE = "application/jose"
KEPT_S = 300.0
"""How long a key is used without being read again; a replaced one works for a day."""
LIFE_S = 300
"""The longest that is accepted."""
_ALGORITHMS = {"EC": "ECDH-ES+A256KW", "RSA": "RSA-OAEP-256"}
"""By type of key, the one to prefer first."""
_CONTENT = "A256GCM"


class Encryption:
    """The key in use, and what is encrypted under it."""

    def __init__(self, subject: str | None = None, now: Callable[[], float] = time.time) -> None:
        """`subject`: whose requests these are, where no token says so. Raises ImportError."""
        try:
            from joserfc import jwe, jwk, registry  # noqa: PLC0415 - an optional package
        except ImportError:
            raise ImportError(
                "encryption needs: pip install countersign-client[encryption]"
            ) from None
        self._jwe, self._jwk = jwe, jwk
        text, number = registry.HeaderParameter("", "str"), registry.HeaderParameter("", "int")
        self._header = {"transaction_id": text, "iat": number, "exp": number}
        self._subject = subject
        self._now = now
        self._key: Mapping[str, Any] | None = None
        self._until = 0.0

    def has_key(self, now: float) -> bool:
        """Whether a key was read lately; `now` is of a clock that never goes back."""
        return self._key is not None and now < self._until

    def keep(self, answer: Answer, now: float) -> None:
        """Choose a key of a JWK set. Raises UnexpectedAnswer without one that can be used."""
        listed = answer.body.get("keys")
        keys = [key for key in listed if isinstance(key, dict)] if isinstance(listed, list) else []
        for kind, algorithm in _ALGORITHMS.items():
            for key in keys:
                if (key.get("kty"), key.get("alg")) == (kind, algorithm):
                    self._key, self._until = key, now + KEPT_S
                    return
        raise UnexpectedAnswer("the gateway publishes no key of a known type", answer=answer)

    def forget(self) -> None:
        """Read the keys again before the next request."""
        self._key = None

    def encrypt(self, body: Mapping[str, str], token: str | None) -> str:
        """Return a body, encrypted for the token's subject. Raises ValueError without one."""
        if self._key is None:
            raise ValueError("no key was read")
        algorithm = _ALGORITHMS[self._key["kty"]]
        issued_at = int(self._now())
        times = {"iat": issued_at, "exp": issued_at + LIFE_S}
        protected = {
            "alg": algorithm,
            "enc": _CONTENT,
            "kid": self._key["kid"],
            "transaction_id": body["transaction_id"],
            **times,
        }
        subject = self._subject or subject_of(token)
        content = {"sub": subject, "jti": str(uuid.uuid4()), **times, "body": body}
        return self._jwe.encrypt_compact(
            protected,
            json.dumps(content),
            self._jwk.import_key({**self._key}),
            registry=self._jwe.JWERegistry(self._header, algorithms=[algorithm, _CONTENT]),
        )


def subject_of(token: str | None) -> str:
    """Return whose token it is: its `sub`, which the gateway verifies and this does not."""
    try:
        payload = (token or "").split(".")[1]
        subject = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sub"]
    except (ValueError, IndexError, KeyError, TypeError):
        subject = None
    if isinstance(subject, str):
        return subject
    raise ValueError("the token names no subject: encryption='<user>' instead of True")
