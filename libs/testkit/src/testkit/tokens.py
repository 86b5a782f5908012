"""An issuer for tests: real keys, signed access tokens, and the published key set."""

import base64
import time
from typing import Any

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from service_runtime.errors import Unavailable
from service_runtime.http_client import HttpResponse

ISSUER, AUDIENCE = "https://issuer.test", "countersign"
ED25519 = ed25519.Ed25519PrivateKey.generate()
P256 = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)
PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def jwk(private: PrivateKey, kid: str, **fields: Any) -> dict[str, Any]:
    """Return the public half of a key, as an issuer publishes it."""
    match private:
        case ed25519.Ed25519PrivateKey():
            entry = OKPAlgorithm.to_jwk(private.public_key(), as_dict=True)
        case ec.EllipticCurvePrivateKey():
            entry = ECAlgorithm.to_jwk(private.public_key(), as_dict=True)
        case _:
            entry = RSAAlgorithm.to_jwk(private.public_key(), as_dict=True)
    entry.pop("key_ops", None)
    return {**entry, "kid": kid, **fields}


KEYS = [jwk(ED25519, "ed"), jwk(P256, "ec"), jwk(RSA, "rsa")]
_PRIVATE: dict[str, tuple[PrivateKey, str]] = {
    "EdDSA": (ED25519, "ed"),
    "ES256": (P256, "ec"),
    "PS256": (RSA, "rsa"),
    "RS256": (RSA, "rsa"),
}


def claims(**changes: Any) -> dict[str, Any]:
    """Return valid claims with changes; None removes a claim."""
    now = int(time.time())
    made = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "usr-456",
        "exp": now + 900,
        "iat": now,
        "scope": "payment.confirm",
        **changes,
    }
    return {name: value for name, value in made.items() if value is not None}


def token(algorithm: str = "EdDSA", headers: dict[str, Any] | None = None, **changes: Any) -> str:
    """Return a signed token with changed claims and headers; None removes one."""
    key, kid = _PRIVATE[algorithm]
    made = {"typ": "at+jwt", "kid": kid, **(headers or {})}
    kept = {name: value for name, value in made.items() if value is not None}
    return jwt.encode(claims(**changes), key, algorithm, kept)


def raw_token(header: Any, payload: Any, signature: bytes = b"") -> str:
    """Return a token that no library would sign; dicts are encoded, bytes taken as they are."""
    parts = [orjson.dumps(part) if isinstance(part, dict) else part for part in (header, payload)]
    return ".".join(
        base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (*parts, signature)
    )


class MemoryKeys:
    """The memory twin of an issuer's key set; counts how often it was fetched."""

    def __init__(self, *keys: Any) -> None:
        self.keys = list(keys or KEYS)
        self.reachable = True
        self.status = 200
        self.fetched = 0

    async def get(self, _path: str) -> HttpResponse:
        """Return the key set; raise Unavailable while the issuer is not reachable."""
        self.fetched += 1
        if not self.reachable:
            raise Unavailable("the issuer does not answer")
        return HttpResponse(self.status, {"keys": self.keys})
