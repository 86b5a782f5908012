"""Requests of our own to a key: whether the place of the private key can open them."""

import base64
import json
import time
from typing import Any

from joserfc.jwe import JWERegistry, encrypt_compact
from joserfc.jwk import ECKey, RSAKey
from joserfc.registry import HeaderParameter

from payment_schemas.encrypted import ALGORITHMS, CONTENT_ENCRYPTION, LONGEST_LIFE_S
from service_runtime.encryption_keys import OpeningKey, jwk_members

_TEXT, _NUMBER = HeaderParameter("", "str"), HeaderParameter("", "int")
_HEADER = {"transaction_id": _TEXT, "iat": _NUMBER, "exp": _NUMBER}


def proof_of(key: OpeningKey) -> str:
    """Return the key's own id, encrypted for it as a client encrypts a request."""
    return encrypted(key, "proof", int(time.time()), key.kid)


def encrypted(key: OpeningKey, transaction_id: str, issued_at_s: int, content: str) -> str:
    """Return a text, encrypted as a client encrypts the content of a request."""
    members: dict[str, str | list[str]] = {**jwk_members(key.public)}
    jwk = ECKey.import_key(members) if key.kind == "EC" else RSAKey.import_key(members)
    protected = {
        "alg": ALGORITHMS[key.kind],
        "enc": CONTENT_ENCRYPTION,
        "kid": key.kid,
        "transaction_id": transaction_id,
        "iat": issued_at_s,
        "exp": issued_at_s + LONGEST_LIFE_S,
    }
    registry = JWERegistry(_HEADER, algorithms=[ALGORITHMS[key.kind], CONTENT_ENCRYPTION])
    return encrypt_compact(protected, content, jwk, registry=registry)


def parts_of(request: str) -> tuple[dict[str, Any], bytes]:
    """Return what a provider gets of a request: the protected header and the encrypted key."""
    header, encrypted_key, *_ = request.split(".")
    return json.loads(_decoded(header)), _decoded(encrypted_key)


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
