"""A token of SoftHSM with private keys, as an operator makes one; for tests and the benchmark."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pkcs11
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pkcs11 import Attribute, KeyType, MechanismFlag
from pkcs11.util.ec import encode_named_curve_parameters

from service_runtime.encryption_keys import PublicKey, key_id

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
TOKEN, PIN = "confirm", "1234"
_CONFIGURATION = """\
directories.tokendir = {folder}
objectstore.backend = file
log.level = ERROR
"""
_MADE_WITHIN_S = 30
_OCTET_STRING_BYTES = 2


def make_token(folder: Path) -> None:
    """Make a token in a folder. SoftHSM reads the variable once in a process."""
    (folder / "tokens").mkdir()
    configuration = folder / "softhsm2.conf"
    configuration.write_text(_CONFIGURATION.format(folder=folder / "tokens"))
    os.environ["SOFTHSM2_CONF"] = str(configuration)
    command = ["softhsm2-util", "--init-token", "--free", "--label", TOKEN, "--pin", PIN]
    subprocess.run(
        [*command, "--so-pin", "5678"], check=True, capture_output=True, timeout=_MADE_WITHIN_S
    )


def new_key(kind: str, bits: int = 2048) -> PublicKey:
    """Make a key pair in the token, whose label is its id; return the public key."""
    token = pkcs11.lib(MODULE).get_token(token_label=TOKEN)
    with token.open(rw=True, user_pin=PIN) as session:
        private, public = _ec(session) if kind == "EC" else _rsa(session, bits)
        private[Attribute.LABEL] = key_id(public)
        return public


def _ec(session: Any) -> tuple[Any, PublicKey]:
    curve = {Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")}
    parameters = session.create_domain_parameters(KeyType.EC, curve, local=True)
    public, private = parameters.generate_keypair(store=True, capabilities=MechanismFlag.DERIVE)
    point = bytes(public[Attribute.EC_POINT])[_OCTET_STRING_BYTES:]
    return private, ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)


def _rsa(session: Any, bits: int) -> tuple[Any, PublicKey]:
    public, private = session.generate_keypair(KeyType.RSA, bits, store=True)
    exponent = int.from_bytes(public[Attribute.PUBLIC_EXPONENT])
    modulus = int.from_bytes(public[Attribute.MODULUS])
    return private, rsa.RSAPublicNumbers(exponent, modulus).public_key()
