"""Signatures of records: a detached JWS (RFC 7515, appendix F) over the exact bytes of the value.

The payload is not encoded (RFC 7797, `b64: false`). The protected header repeats the record's
topic, id, type and time, so that a signed message cannot be moved to another topic, bank or day.
"""

from datetime import datetime
from typing import Any, TypedDict, Unpack

import orjson

from partner_messages.errors import BadSignature
from partner_messages.keys import Keys, SigningKey, base64url, bytes_of

HEADER = "signature"
"""The record's header."""
MAX_CHARACTERS = 2048
"""A header of ours has less than 500 characters."""


class Signed(TypedDict):
    """What is signed beside the value: the exact text of the record's headers, and its topic."""

    topic: str
    event_id: str
    """The text of `ce_id`."""
    event_type: str
    """The text of `ce_type`."""
    time: str
    """The text of `ce_time`."""


def sign(value: bytes, *, key: SigningKey, **signed: Unpack[Signed]) -> str:
    """Return the text of the header `signature` of a record with this value."""
    protected = {
        "alg": "EdDSA",
        "b64": False,
        "crit": ["b64"],
        "kid": key.kid,
        **_members(signed),
    }
    head = base64url(orjson.dumps(protected))
    return f"{head}..{base64url(key.private.sign(_input(head, value)).signature)}"


def verify(
    value: bytes, signature: str, *, keys: Keys, now: datetime, **signed: Unpack[Signed]
) -> str:
    """Return the `kid` of the key that has signed this record. Raises BadSignature.

    A key is valid by `now`, not by the message's time: the holder of an expired key could write
    any time.
    """
    head, raw = _parts(signature)
    protected = _header(head)
    kid = protected.get("kid")
    if not isinstance(kid, str):
        raise BadSignature("malformed", "kid: missing")
    keys.verify(kid, raw, _input(head, value), now)
    # Only now: what is not signed says nothing.
    for name, text in _members(signed).items():
        if protected.get(name) != text:
            raise BadSignature("other_message", f"{name}: signed with another one")
    return kid


def _members(signed: Signed) -> dict[str, str]:
    return {
        "topic": signed["topic"],
        "ce_id": signed["event_id"],
        "ce_type": signed["event_type"],
        "ce_time": signed["time"],
    }


def _input(head: str, value: bytes) -> bytes:
    return head.encode() + b"." + value


def _parts(signature: str) -> tuple[str, bytes]:
    if not signature:
        raise BadSignature("missing", "the header is missing")
    if len(signature) > MAX_CHARACTERS:
        raise BadSignature("malformed", f"longer than {MAX_CHARACTERS} characters")
    head, payload, raw = [*signature.split("."), "", ""][:3]
    if payload or signature.count(".") != 2:
        raise BadSignature("malformed", "must be a header, two points and a signature")
    return head, _bytes(raw, "signature")


def _header(head: str) -> dict[str, Any]:
    try:
        protected = orjson.loads(_bytes(head, "header"))
    except orjson.JSONDecodeError:
        raise BadSignature("malformed", "header: not JSON") from None
    if not isinstance(protected, dict):
        raise BadSignature("malformed", "header: must be an object")
    # The algorithm is ours to choose, never the sender's (RFC 8725, section 3.1).
    for name, text in (("alg", "EdDSA"), ("b64", False), ("crit", ["b64"])):
        if protected.get(name) != text:
            raise BadSignature("malformed", f"{name}: must be {orjson.dumps(text).decode()}")
    return protected


def _bytes(text: str, part: str) -> bytes:
    try:
        return bytes_of(text)
    except ValueError:
        raise BadSignature("malformed", f"{part}: not base64url") from None
