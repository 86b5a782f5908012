"""`partner.properties`: a Kafka client's configuration in Java's format, and the bank's topics."""

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from countersign_partner.formats import Format, format_of

_CREDENTIAL = re.compile(r'(username|password)="([^"]*)"')


@dataclass(frozen=True)
class Partner:
    """A bank's connection and topics."""

    id: str
    group: str
    instructions: str
    reports: str
    jwks_url: str
    format: Format
    """Of its messages."""
    kafka: Mapping[str, Any] = field(repr=False)
    """The arguments of aiokafka's clients."""


def partner_of(file: Path) -> Partner:
    """Read a bank's file. Raises ValueError naming the missing property."""
    found = read(file)
    return Partner(
        id=_needed(found, "countersign.partner"),
        group=_needed(found, "group.id"),
        instructions=_needed(found, "countersign.instructions.topic"),
        reports=_needed(found, "countersign.reports.topic"),
        jwks_url=_needed(found, "countersign.jwks.url"),
        format=format_of(found.get("countersign.format", "json")),
        kafka=connection_of(found, file.parent),
    )


def read(file: Path) -> dict[str, str]:
    """Return the properties of a file."""
    lines = (line.strip() for line in file.read_text().splitlines())
    pairs = (line.partition("=") for line in lines if line and line[0] not in "#!")
    return {name.strip(): value.strip() for name, _, value in pairs}


def connection_of(found: Mapping[str, str], folder: Path) -> dict[str, Any]:
    """Return the arguments of aiokafka's clients; file names are relative to `folder`."""
    protocol = found.get("security.protocol", "PLAINTEXT")
    options: dict[str, Any] = {
        "bootstrap_servers": _needed(found, "bootstrap.servers"),
        "security_protocol": protocol,
    }
    if protocol.startswith("SASL_"):
        credential = dict(_CREDENTIAL.findall(_needed(found, "sasl.jaas.config")))
        options |= {
            "sasl_mechanism": _needed(found, "sasl.mechanism"),
            "sasl_plain_username": _needed(credential, "username"),
            "sasl_plain_password": _needed(credential, "password"),
        }
    if protocol.endswith("SSL"):
        authority = found.get("ssl.truststore.location")
        trusted = str(folder / authority) if authority else None
        options["ssl_context"] = ssl.create_default_context(cafile=trusted)
    return options


def _needed(found: Mapping[str, str], name: str) -> str:
    if not found.get(name):
        raise ValueError(f"{name}: missing")
    return found[name]
