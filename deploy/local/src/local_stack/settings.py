"""The user's settings: the command's environment, then `.env` in the checkout."""

import os
from collections.abc import Iterable
from pathlib import Path

from local_stack.errors import StackError
from local_stack.layout import CHECKOUT


def user_settings(names: Iterable[str], file: Path = CHECKOUT / ".env") -> dict[str, str]:
    """The named settings that the user has set. Raises StackError on a line that is not one."""
    written = _read(file) | os.environ
    return {name: written[name] for name in names if name in written}


def transport_is_tls() -> bool:
    """Whether the connections to Kafka use TLS: as TLS says, else in production alone."""
    chosen = user_settings(["TLS", "PROFILE"])
    if chosen.get("TLS", "on") not in {"on", "off"}:
        raise StackError(f"TLS must be on or off, not {chosen['TLS']!r}")
    return chosen.get("TLS", "on" if chosen.get("PROFILE") == "prod" else "off") == "on"


def _read(file: Path) -> dict[str, str]:
    if not file.exists():
        return {}
    settings: dict[str, str] = {}
    for number, line in enumerate(file.read_text().splitlines(), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise StackError(f"{file.name} line {number}: expected NAME=value")
        settings[name] = value.strip("\"'")
    return settings
