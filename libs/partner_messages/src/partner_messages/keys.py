"""Ed25519 keys: our private ones, and public ones as a JSON Web Key Set (RFC 7517, RFC 8037).

By libsodium: it verifies in half the time of OpenSSL (decision 0034).
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal

import orjson
from nacl import signing
from nacl.exceptions import BadSignatureError
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic import ValidationError as PydanticError

from partner_messages.errors import BadSignature, Malformed
from partner_messages.fields import first_fault

MAX_KEYS = 16
"""Keys of one sender: two live during a rotation, the others were retired."""
MAX_JWKS_BYTES = 16_384
# 9999-12-31: the last second that a datetime can be.
_LAST_SECOND = 253_402_300_799


def base64url(raw: bytes) -> str:
    """Return bytes as base64url without padding (RFC 7515, section 2)."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def bytes_of(text: str) -> bytes:
    """Return the bytes of base64url text; raise ValueError unless it is their only spelling."""
    raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if base64url(raw) != text:
        raise ValueError("must be base64url without padding")
    return raw


def _point(text: str) -> str:
    if len(bytes_of(text)) != 32:
        raise ValueError("must be 32 bytes")
    return text


Kid = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:\-]{1,64}$")]
"""A key's id, chosen by its owner."""
Seconds = Annotated[int, Field(ge=0, le=_LAST_SECOND)]


class PublicKey(BaseModel):
    """One public key of a sender. Unknown members are ignored (RFC 7517, section 4)."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    kid: Kid
    x: Annotated[str, AfterValidator(_point)]
    use: Literal["sig"] = "sig"
    alg: Literal["EdDSA"] = "EdDSA"
    nbf: Seconds | None = None
    """Not valid before this second since 1970."""
    exp: Seconds | None = None
    """Not valid from this second on."""


class _Set(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    keys: Annotated[tuple[PublicKey, ...], Field(min_length=1, max_length=MAX_KEYS)]


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key and its id."""

    kid: str
    private: signing.SigningKey = field(repr=False)

    @classmethod
    def of_seed(cls, kid: str, seed: bytes) -> "SigningKey":
        """Return the key of a seed of 32 bytes."""
        return cls(kid, signing.SigningKey(seed))

    def public(self, *, nbf: int | None = None, exp: int | None = None) -> PublicKey:
        """Return the public half, for a key set."""
        x = base64url(self.private.verify_key.encode())
        return PublicKey(kty="OKP", crv="Ed25519", kid=self.kid, x=x, nbf=nbf, exp=exp)


@dataclass(frozen=True, slots=True)
class Keys:
    """The public keys of one sender."""

    by_kid: Mapping[str, tuple[PublicKey, signing.VerifyKey]]

    @classmethod
    def of(cls, keys: Iterable[PublicKey]) -> "Keys":
        """Return the set of these keys. Raises Malformed where two have one `kid`."""
        by_kid = {}
        for number, key in enumerate(keys):
            if key.kid in by_kid:
                raise Malformed(f"keys.{number}.kid", "another key has the same one")
            by_kid[key.kid] = key, signing.VerifyKey(bytes_of(key.x))
        return cls(by_kid)

    @classmethod
    def of_jwks(cls, jwks: bytes | dict[str, Any]) -> "Keys":
        """Parse a key set that a bank has sent, as text or parsed JSON. Raises Malformed.

        A private key (member `d`) is refused: it is no secret any more.
        """
        raw = _object(jwks) if isinstance(jwks, bytes) else jwks
        keys = raw.get("keys")
        for number, key in enumerate(keys if isinstance(keys, list) else ()):
            if isinstance(key, dict) and "d" in key:
                raise Malformed(f"keys.{number}.d", "a private key must never be sent")
        try:
            # Dumped again, since only JSON has the types that `strict` expects.
            return cls.of(_Set.model_validate_json(orjson.dumps(raw)).keys)
        except PydanticError as error:
            raise first_fault(error) from None
        except TypeError:
            raise Malformed("keys", "must be JSON") from None

    def jwks(self) -> dict[str, list[dict[str, Any]]]:
        """Return the set as JSON, to publish or store it."""
        return {"keys": [key.model_dump(exclude_none=True) for key, _ in self.by_kid.values()]}

    def verify(self, kid: str, signature: bytes, signed: bytes, now: datetime) -> None:
        """Raise BadSignature unless the key `kid`, valid at `now`, has signed these bytes."""
        key, public = self.by_kid.get(kid, (None, None))
        if key is None or public is None:
            raise BadSignature("unknown_key", "kid: not a key of the sender")
        if key.exp is not None and now.timestamp() >= key.exp:
            raise BadSignature("expired_key", "kid: the key has expired")
        if key.nbf is not None and now.timestamp() < key.nbf:
            raise BadSignature("early_key", "kid: the key is not valid yet")
        try:
            public.verify(signed, signature)
        except (BadSignatureError, ValueError):  # the latter: not 64 bytes
            raise BadSignature("forged", "does not fit the message") from None


def _object(raw: bytes) -> dict[str, Any]:
    if len(raw) > MAX_JWKS_BYTES:
        raise Malformed("keys", f"longer than {MAX_JWKS_BYTES} bytes")
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise Malformed("keys", "not JSON") from None
    if not isinstance(found, dict):
        raise Malformed("keys", "must be an object with the member `keys`")
    return found
