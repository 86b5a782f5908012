"""The folder for a partner bank: how it connects, and the contract of its messages."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kafka_access.partners import Names
from ops.domain.errors import RefusedError, UnavailableError
from partner_messages.errors import Malformed
from partner_messages.keys import Keys
from service_runtime.brokers import MECHANISM

PROPERTIES = "partner.properties"
AUTHORITY = "ca.pem"
JWKS_PATH = "/.well-known/partner-jwks.json"
_PASSWORD = re.compile(r"[A-Za-z0-9_.~+/=-]{16,128}")
"""No character that a properties file or JAAS quotes."""
_ADD = "countersign partners add --help"
_KEPT = re.compile(r'password="([^"]*)"')
_HEADER = """\
# How {partner} connects to Kafka. It holds a password: keep it as one. Clients of Kafka read it as
# it is, in this folder, where {authority} is. `countersign.*` is for programs of the bank; clients
# of Kafka ignore it.
"""


@dataclass(frozen=True, slots=True)
class Connection:
    """What a bank connects to."""

    servers: str
    """The brokers' addresses as the bank sees them."""
    tls_ca: str
    """The file of the authority of their certificates; empty without TLS."""
    gateway: str
    """Where the bank reads our public keys."""

    @property
    def jwks_url(self) -> str:
        """The address of our public keys."""
        return self.gateway + JWKS_PATH


class PartnerFiles:
    """A folder that only its owner can enter. Methods raise UnavailableError."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def properties(self) -> Path:
        """The file that holds the password."""
        return self.folder / PROPERTIES

    def kept_password(self) -> str | None:
        """Return the password that an earlier command has written here; None without one."""
        try:
            found = _KEPT.search(self.properties.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unreadable(self.properties, error) from None
        return found[1] if found else None

    def write_properties(
        self, partner: str, message_format: str, password: str, connection: Connection
    ) -> None:
        """Write how the bank connects, in place of an earlier file."""
        lines = _properties(Names(partner), message_format, password, connection)
        text = _HEADER.format(partner=partner, authority=AUTHORITY)
        text += "".join(f"{name}={value}\n" for name, value in lines.items())
        if connection.tls_ca:
            self.write(AUTHORITY, _text_of(Path(connection.tls_ca)))
        self.write(PROPERTIES, text)

    def write(self, name: str, text: str) -> Path:
        """Write a file that only its owner can read, whole or not at all."""
        path = self.folder / name
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            draft.rename(path)
        except OSError as error:
            raise UnavailableError(f"--out: {path}: {error.strerror}", "df -h .") from None
        return path


def password_in(path: Path) -> str:
    """Return the password in a file. Raises RefusedError for one that cannot be used."""
    text = _text_of(path).strip()
    if not _PASSWORD.fullmatch(text):
        raise RefusedError(
            f"--password-file: {path}: must be 16 to 128 of A-Z a-z 0-9 _.~+/=-", _ADD
        )
    return text


def keys_in(path: Path) -> dict[str, Any]:
    """Return the JWK set in a file. Raises RefusedError with the field that is wrong."""
    try:
        return Keys.of_jwks(_text_of(path).encode()).jwks()
    except Malformed as error:
        raise RefusedError(f"--keys: {path}: {error}", _ADD) from None


def _properties(
    names: Names, message_format: str, password: str, connection: Connection
) -> Mapping[str, str]:
    """The lines of the file. Source: kafka.apache.org/documentation, SASL and SSL settings."""
    tls = bool(connection.tls_ca)
    module = "org.apache.kafka.common.security.scram.ScramLoginModule"
    login = f'{module} required username="{names.principal}" password="{password}";'
    trust = {"ssl.truststore.type": "PEM", "ssl.truststore.location": AUTHORITY} if tls else {}
    return {
        "bootstrap.servers": connection.servers,
        "security.protocol": "SASL_SSL" if tls else "SASL_PLAINTEXT",
        "sasl.mechanism": MECHANISM,
        "sasl.jaas.config": login,
        **trust,
        "group.id": f"{names.groups}main",
        "countersign.partner": names.partner,
        "countersign.format": message_format,
        "countersign.instructions.topic": names.instructions,
        "countersign.reports.topic": names.reports,
        "countersign.dead-letters.topic": names.refused,
        "countersign.jwks.url": connection.jwks_url,
    }


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> UnavailableError:
    reason = error.strerror if isinstance(error, OSError) else "no text"
    return UnavailableError(f"{path} cannot be read: {reason}", f"ls -l {path}")
