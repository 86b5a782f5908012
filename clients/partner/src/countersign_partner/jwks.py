"""Countersign's public keys, from the address in `partner.properties`."""

import asyncio
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.request import urlopen

EVERY = timedelta(minutes=5)
"""A new key is published a day before it signs, so five minutes are often enough."""
MAX_BYTES = 65_536
_WITHIN_S = 5


@dataclass
class KeySet:
    """The keys, read again every five minutes; while that fails, the last ones stay."""

    url: str
    keys: dict[str, Any] = field(default_factory=lambda: {"keys": []})
    read_at: datetime | None = None

    async def at(self, now: datetime) -> dict[str, Any]:
        """Return the key set (RFC 7517). Raises OSError where it was never read."""
        if self.read_at is None or now - self.read_at > EVERY:
            try:
                self.keys = await asyncio.to_thread(self._read)
            except (OSError, ValueError):
                if self.read_at is None:
                    raise
            self.read_at = now
        return self.keys

    def _read(self) -> dict[str, Any]:
        if not self.url.startswith(("http://", "https://")):
            raise ValueError("countersign.jwks.url: must begin with https://")
        with urlopen(self.url, timeout=_WITHIN_S) as response:  # noqa: S310 - checked above
            found: dict[str, Any] = json.loads(response.read(MAX_BYTES))
        return found
