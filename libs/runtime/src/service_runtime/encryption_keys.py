"""Rings of private keys that open encrypted requests: their file, and their public form.

A file has one block of PEM a key, after a line with its id: an encrypted PKCS#8 key, or a public
key where a token (PKCS#11) or another service keeps the private one. The first key is the one that
clients should use; others are published as well, until they are replaced: such a key opens what
came within a day of its replacement.
"""

import base64
import hashlib
import json
import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

KeyType = Literal["EC", "RSA"]
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey
OPENS_AFTER = timedelta(hours=24)
"""How long a replaced key still opens requests: a client may have its public key for so long."""
RSA_BITS, LEAST_RSA_BITS = 3072, 2048
KEY_ID_CHARACTERS = 16
MOUNTED = Path("/run/secrets")
"""Where a container's secrets are mounted, readable by its user alone, whatever their mode."""
_PRIVATE, _PUBLIC = "ENCRYPTED PRIVATE KEY", "PUBLIC KEY"
_BLOCK = re.compile(
    r"# kid=(?P<kid>[0-9a-f]{16})(?: until=(?P<until>\S+))?\n"
    rf"(?P<pem>-----BEGIN (?P<kind>{_PRIVATE}|{_PUBLIC})-----\n[A-Za-z0-9+/=\n]+"
    r"-----END (?P=kind)-----\n)"
)


@dataclass(frozen=True, slots=True)
class KeyBlock:
    """One key of a file."""

    kid: str
    pem: str
    until: datetime | None = None
    """When it opens nothing any more; None: it was not replaced."""

    @property
    def is_kept_elsewhere(self) -> bool:
        """Whether the file has only the public key."""
        return f"BEGIN {_PUBLIC}" in self.pem

    def opens_at(self, at: datetime) -> bool:
        """Whether it opens a request that came at that time."""
        return self.until is None or at < self.until


@dataclass(frozen=True, slots=True)
class OpeningKey:
    """A key as a reader uses it."""

    block: KeyBlock
    public: PublicKey
    private: PrivateKey | None
    """None where it is kept elsewhere."""

    @property
    def kid(self) -> str:
        """Its id."""
        return self.block.kid

    @property
    def kind(self) -> KeyType:
        """Its type."""
        return "EC" if isinstance(self.public, ec.EllipticCurvePublicKey) else "RSA"


def blocks_of(text: str) -> list[KeyBlock]:
    """Return the keys of a file, the one to use first; raise ValueError with its form."""
    blocks = [
        KeyBlock(found["kid"], found["pem"], _time(found["until"]))
        for found in _BLOCK.finditer(text if text.endswith("\n") else f"{text}\n")
    ]
    if not blocks or text_of(blocks).strip() != text.strip():
        raise ValueError("must hold blocks: a line `# kid=…`, and an encrypted PKCS#8 key as PEM")
    return blocks


def text_of(blocks: Iterable[KeyBlock]) -> str:
    """Return the text of a file."""
    return "".join(
        f"# kid={one.kid}"
        + (f" until={one.until.isoformat()}" if one.until else "")
        + f"\n{one.pem}"
        for one in blocks
    )


def replaced(
    before: Sequence[KeyBlock], after: Sequence[KeyBlock], now: datetime
) -> list[KeyBlock]:
    """Return the blocks with the time until which the first key opens, if it is first no longer."""
    current, *others = after
    was_current = before[0].kid if before else current.kid
    return [
        replace(current, until=None),
        *(
            replace(one, until=now + OPENS_AFTER) if one.kid == was_current else one
            for one in others
        ),
    ]


def new_block(kind: KeyType, passphrase: str, rsa_bits: int = RSA_BITS) -> KeyBlock:
    """Make a key: EC P-256, or RSA."""
    private: PrivateKey = (
        ec.generate_private_key(ec.SECP256R1())
        if kind == "EC"
        else rsa.generate_private_key(65537, rsa_bits)
    )
    encryption = BestAvailableEncryption(passphrase.encode())
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    return KeyBlock(key_id(private.public_key()), pem.decode())


def public_key_of(pem: str) -> PublicKey:
    """Return a public key; raise ValueError for one that no ring may have."""
    return _strong(load_pem_public_key(pem.encode()))


def public_block(public: PublicKey) -> KeyBlock:
    """Return a key whose private part is kept elsewhere."""
    text = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return KeyBlock(key_id(public), text)


def opening_keys(text: str, passphrase: str) -> list[OpeningKey]:
    """Return the keys of a file; raise ValueError, which names the key."""
    return [_opened(block, passphrase) for block in blocks_of(text)]


def require_private(path: Path) -> None:
    """Raise ValueError where others than the owner may read a file of keys, or change it."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077 and not path.is_relative_to(MOUNTED):
        raise ValueError(f"others may read it (mode {mode:04o}): chmod 0400")


def key_id(public: PublicKey) -> str:
    """Return the head of a key's thumbprint (RFC 7638), in hexadecimal: a name that tokens take."""
    members = json.dumps(jwk_members(public), separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(members.encode()).hexdigest()[:KEY_ID_CHARACTERS]


def jwk_members(public: PublicKey) -> Mapping[str, str]:
    """Return the members of a key's JWK that are the key (RFC 7518)."""
    numbers = public.public_numbers()
    if isinstance(numbers, rsa.RSAPublicNumbers):
        return {"kty": "RSA", "n": _base64(numbers.n), "e": _base64(numbers.e)}
    size = 32
    return {
        "kty": "EC",
        "crv": "P-256",
        "x": _base64(numbers.x, size),
        "y": _base64(numbers.y, size),
    }


def _opened(block: KeyBlock, passphrase: str) -> OpeningKey:
    private = None
    try:
        if block.is_kept_elsewhere:
            found: object = load_pem_public_key(block.pem.encode())
        else:
            private = load_pem_private_key(block.pem.encode(), passphrase.encode())
            found = private.public_key()
    except ValueError:
        raise ValueError(f"key {block.kid} cannot be read: is it this ring's passphrase?") from None
    public = _strong(found)
    if key_id(public) != block.kid:
        raise ValueError(f"key {block.kid} is another key, whose id is {key_id(public)}")
    # The type of the private key follows from that of the public one.
    return OpeningKey(block, public, private)  # type: ignore[arg-type]


def _strong(public: object) -> PublicKey:
    match public:
        case ec.EllipticCurvePublicKey() if public.curve.name == "secp256r1":
            return public
        case rsa.RSAPublicKey() if public.key_size >= LEAST_RSA_BITS:
            return public
        case _:
            raise ValueError("a key must be EC P-256, or RSA with 2048 bits or more")


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("until must have a time zone")
    return at


def _base64(number: int, size: int = 0) -> str:
    raw = number.to_bytes(size or (number.bit_length() + 7) // 8)
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
