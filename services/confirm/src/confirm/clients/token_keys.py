"""Private keys in a PKCS#11 token, found by their ids as labels."""

import contextlib
import threading
from typing import Any, Self

import pkcs11
from pkcs11 import KDF, MGF, Attribute, KeyType, Mechanism, ObjectClass
from pkcs11.exceptions import (
    ArgumentsBad,
    DataInvalid,
    DataLenRange,
    EncryptedDataInvalid,
    EncryptedDataLenRange,
    FunctionFailed,
    GeneralError,
    MechanismInvalid,
    MechanismParamInvalid,
    NoSuchKey,
    PKCS11Error,
)

from service_runtime.encryption_keys import OpeningKey
from service_runtime.errors import Unavailable
from service_runtime.key_provider import (
    Header,
    NotAbleError,
    WrongKeyError,
    ephemeral_of,
    unwrapped,
)

SHARED_BITS = 256
_WRONG = (
    *(EncryptedDataInvalid, EncryptedDataLenRange, DataInvalid, DataLenRange),
    *(GeneralError, FunctionFailed),
)
"""With OAEP tokens report a wrong padding by any of these."""
_NOT_ABLE = (MechanismInvalid, MechanismParamInvalid, ArgumentsBad, NoSuchKey)


class TokenKeys:
    """Unwraps in a token: EC by CKM_ECDH1_DERIVE, RSA by CKM_RSA_PKCS_OAEP with SHA-256.

    One session, one call at a time: with a session for each of four threads, SoftHSM 2.6 ended the
    process by a segmentation fault within some hundred calls.
    """

    def __init__(self, module: str, token: str, pin: str) -> None:
        """`module`: the file of the token's library. Raises Unavailable without the token."""
        self._pin = pin
        self._one_at_a_time = threading.Lock()
        self._session: pkcs11.Session | None = None
        self._keys: dict[str, Any] = {}
        try:
            self._token = pkcs11.lib(module).get_token(token_label=token)
        except (PKCS11Error, RuntimeError, OSError) as error:
            raise Unavailable(f"PKCS#11 token {token}: {type(error).__name__}") from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        with self._one_at_a_time:
            self._end_session()

    def unwrap(self, key: OpeningKey, header: Header, encrypted_key: bytes) -> bytes:
        with self._one_at_a_time:
            try:
                private = self._private(key)
                if key.kind == "RSA":
                    return _decrypted(private, encrypted_key)
                shared = _shared(private, header)
            except _NOT_ABLE as error:
                raise NotAbleError(f"the token has it not: {type(error).__name__}") from None
            except PKCS11Error as error:
                # The next call opens another session.
                self._end_session()
                raise Unavailable(f"PKCS#11: {type(error).__name__}") from None
        return unwrapped(shared, encrypted_key)

    def _private(self, key: OpeningKey) -> Any:
        if self._session is None:
            self._session = self._token.open(user_pin=self._pin)
        if key.kid not in self._keys:
            self._keys[key.kid] = self._session.get_key(
                object_class=ObjectClass.PRIVATE_KEY, label=key.kid
            )
        return self._keys[key.kid]

    def _end_session(self) -> None:
        session, self._session = self._session, None
        self._keys.clear()
        if session is not None:
            with contextlib.suppress(PKCS11Error):
                session.close()


def _shared(private: Any, header: Header) -> bytes:
    numbers = ephemeral_of(header).public_numbers()
    point = b"\x04" + numbers.x.to_bytes(32) + numbers.y.to_bytes(32)
    secret = private.derive_key(
        KeyType.GENERIC_SECRET,
        SHARED_BITS,
        mechanism=Mechanism.ECDH1_DERIVE,
        mechanism_param=(KDF.NULL, None, point),
        template={Attribute.TOKEN: False, Attribute.SENSITIVE: False, Attribute.EXTRACTABLE: True},
    )
    try:
        return bytes(secret[Attribute.VALUE])
    finally:
        secret.destroy()


def _decrypted(private: Any, encrypted_key: bytes) -> bytes:
    try:
        return bytes(
            private.decrypt(
                encrypted_key,
                mechanism=Mechanism.RSA_PKCS_OAEP,
                mechanism_param=(Mechanism.SHA256, MGF.SHA256, None),
            )
        )
    except _WRONG:
        raise WrongKeyError("the content key is encrypted under another key") from None
