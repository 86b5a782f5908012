"""A development authority and a certificate for each process, made at set-up, never committed.

A process' file holds its private key (PKCS 8, which Kafka requires), its certificate and the chain.
The names are the process' host in Compose and this machine's loopback.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509 import load_pem_x509_certificate

from service_runtime.clock import SystemClock

AUTHORITY = "tls-ca"
"""The certificate that every process trusts."""
_AUTHORITY_KEY = "tls-ca-key"
_LOOPBACK = ("localhost", "127.0.0.1")
_VALID_FOR = timedelta(days=365)
_RENEWED_BEFORE = timedelta(days=30)
_MARK = b"-----BEGIN CERTIFICATE-----"
Write = Callable[[str, str], None]


def certificate_name(process: str) -> str:
    """The secret that holds the key and the certificate of a process."""
    return f"tls-{process}"


def certificate_names(processes: Iterable[str]) -> tuple[str, ...]:
    """Every secret that `Authority.issue` and its caller make."""
    return AUTHORITY, _AUTHORITY_KEY, *map(certificate_name, processes)


@dataclass(frozen=True, slots=True)
class Authority:
    """The development authority in a folder of secrets."""

    folder: Path
    write: Write

    def issue(self, processes: Iterable[str]) -> None:
        """Make the missing certificates, and those that end within 30 days."""
        authority = self._authority()
        for process in processes:
            name = certificate_name(process)
            if not _is_valid(self.folder / name):
                host = process.replace("_", "-")
                end = SystemClock().now() + _VALID_FOR
                leaf = authority.issue_cert(host, *_LOOPBACK, common_name=process, not_after=end)
                chain = b"".join(part.bytes() for part in leaf.cert_chain_pems)
                self.write(name, (_pkcs8(leaf.private_key_pem.bytes()) + chain).decode())

    def _authority(self) -> trustme.CA:
        certificate, key = self.folder / AUTHORITY, self.folder / _AUTHORITY_KEY
        if certificate.exists() and key.exists():
            return trustme.CA.from_pem(certificate.read_bytes(), key.read_bytes())
        made = trustme.CA(organization_name="Countersign development")
        self.write(AUTHORITY, made.cert_pem.bytes().decode())
        self.write(_AUTHORITY_KEY, made.private_key_pem.bytes().decode())
        for issued in self.folder.glob(certificate_name("*")):
            if issued not in {certificate, key}:
                issued.unlink()
        return made


def _is_valid(file: Path) -> bool:
    if not file.exists():
        return False
    _, mark, text = file.read_bytes().partition(_MARK)
    return load_pem_x509_certificate(mark + text).not_valid_after_utc > (
        SystemClock().now() + _RENEWED_BEFORE
    )


def _pkcs8(key: bytes) -> bytes:
    loaded = load_pem_private_key(key, password=None)
    return loaded.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
