"""Encrypted confirm requests: what their protected header and their content must be. Pure.

A request is a compact JWE (RFC 7516). The gateway reads its header and forwards it unopened,
confirm decrypts it; both judge the header by the time at which the gateway received it. Of a
request that breaks a rule, nothing but `answers.not_decrypted` becomes known.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from payment_schemas import answers
from payment_schemas.answers import RefusedError
from payment_schemas.confirm_body import JsonNumber, identifier_of, json_object

ENCRYPTED_TYPE = "application/jose"
KEYS_PATH = "/.well-known/e2e-jwks.json"
"""Where clients read the public keys."""
MAX_ENCRYPTED_BYTES = 16 * 1024
EC_ALGORITHM, RSA_ALGORITHM = "ECDH-ES+A256KW", "RSA-OAEP-256"
ALGORITHMS = {"EC": EC_ALGORITHM, "RSA": RSA_ALGORITHM}
"""Type of a key → the only algorithm that it is used with (RFC 7518)."""
CONTENT_ENCRYPTION = "A256GCM"
LONGEST_LIFE_S = 300
"""From `iat` to `exp`."""
LEEWAY_S = 30
"""How far ahead the client's clock may be; the same as for tokens."""
MOST_HEADER_CHARACTERS = 1024
_SEGMENTS = 5
_HEADER = {"alg", "enc", "kid", "transaction_id", "iat", "exp"}
_CONTENT = {"sub", "iat", "exp", "jti", "body"}
_EPHEMERAL = {"kty", "crv", "x", "y"}
_COORDINATE_BYTES = 32
_KEY_ID = re.compile(r"^[A-Za-z0-9_-]{1,64}\Z")
_TOKEN_ID = re.compile(r"^[A-Za-z0-9_-]{16,64}\Z")
_SECONDS = re.compile(r"^[1-9][0-9]{0,11}\Z")


@dataclass(frozen=True, slots=True)
class EncryptedHeader:
    """The protected header of a request, whose form and times are right."""

    algorithm: str
    kid: str
    transaction_id: str
    issued_at_s: int
    expires_at_s: int
    ephemeral: Mapping[str, str] | None
    """The client's key of this one request, as a JWK; None with RSA."""


@dataclass(frozen=True, slots=True)
class EncryptedContent:
    """What was encrypted, for this user and transaction."""

    token_id: str
    """`jti`: no two requests of a user have the same one."""
    fields: dict[str, Any]
    """The body's fields, as `confirm_body_of` takes them."""


def header_of(token: str, at: datetime) -> EncryptedHeader:
    """Return the header of a compact JWE that came at that time; raise RefusedError.

    A missing or invalid `transaction_id` is refused by its name, as in a plain request.
    """
    segments = token.split(".")
    is_compact = len(segments) == _SEGMENTS and len(segments[0]) <= MOST_HEADER_CHARACTERS
    if len(token) > MAX_ENCRYPTED_BYTES or not is_compact:
        raise RefusedError(answers.not_decrypted())
    raw, *_ = [_decoded(segment) for segment in segments]
    fields = _object(raw)
    transaction_id = identifier_of(fields, "transaction_id")
    algorithm = _algorithm(fields)
    issued_at_s, expires_at_s = _times(fields)
    _require(_is_timely(issued_at_s, expires_at_s, at))
    ephemeral = fields["epk"] if algorithm == EC_ALGORITHM else None
    return EncryptedHeader(
        algorithm, fields["kid"], transaction_id, issued_at_s, expires_at_s, ephemeral
    )


def content_of(plain: bytes, header: EncryptedHeader, user_id: str) -> EncryptedContent:
    """Return the content of a decrypted request; raise RefusedError.

    It must be for this user, with the times and the transaction of its header.
    """
    content = _object(plain)
    _require(content.keys() == _CONTENT)
    token_id, body = content["jti"], content["body"]
    _require(_is_text(content["sub"]) and content["sub"] == user_id)
    _require(_times(content) == (header.issued_at_s, header.expires_at_s))
    _require(_is_text(token_id) and _TOKEN_ID.match(token_id) is not None)
    if not isinstance(body, dict):
        raise RefusedError(answers.malformed_json())
    _require(body.get("transaction_id", header.transaction_id) == header.transaction_id)
    return EncryptedContent(token_id, body)


def _algorithm(fields: dict[str, Any]) -> str:
    """Return `alg`, where the header has exactly the names and forms of that algorithm."""
    algorithm, kid = fields.get("alg"), fields.get("kid")
    names = _HEADER | {"epk"} if algorithm == EC_ALGORITHM else _HEADER
    _require(_is_text(algorithm) and algorithm in ALGORITHMS.values())
    _require(fields.keys() == names and fields["enc"] == CONTENT_ENCRYPTION)
    _require(_is_text(kid) and _KEY_ID.match(str(kid)) is not None)
    _require(algorithm != EC_ALGORITHM or _is_ephemeral(fields["epk"]))
    return str(algorithm)


def _is_ephemeral(key: Any) -> bool:
    if not isinstance(key, dict) or key.keys() != _EPHEMERAL:
        return False
    if not all(_is_text(value) for value in key.values()):
        return False
    lengths = {len(_decoded(key[name])) for name in ("x", "y")}
    return (key["kty"], key["crv"], lengths) == ("EC", "P-256", {_COORDINATE_BYTES})


def _times(fields: dict[str, Any]) -> tuple[int, int]:
    times = fields.get("iat"), fields.get("exp")
    _require(all(isinstance(one, JsonNumber) and _SECONDS.match(one) for one in times))
    return int(str(times[0])), int(str(times[1]))


def _is_timely(issued_at_s: int, expires_at_s: int, at: datetime) -> bool:
    now_s = at.timestamp()
    is_short = 0 < expires_at_s - issued_at_s <= LONGEST_LIFE_S
    return is_short and issued_at_s - LEEWAY_S <= now_s < expires_at_s


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and not isinstance(value, JsonNumber)


def _object(raw: bytes) -> dict[str, Any]:
    try:
        return json_object(raw)
    except RefusedError:
        raise RefusedError(answers.not_decrypted()) from None


def _decoded(text: str) -> bytes:
    """Return what a text of base64url encodes; one value has one text, without padding."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise RefusedError(answers.not_decrypted()) from None
    _require(base64.urlsafe_b64encode(raw).rstrip(b"=") == text.encode() and bool(raw))
    return raw


def _require(holds: bool) -> None:  # noqa: FBT001 - reads as a sentence
    if not holds:
        raise RefusedError(answers.not_decrypted())
