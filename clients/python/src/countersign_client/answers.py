"""One response of the gateway, read without trust in its form."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MOST_DIGITS = 9
"""Of a number of seconds: Python refuses texts of thousands of digits."""


@dataclass(frozen=True)
class Answer:
    """Status, headers with names in lower case, and the JSON object of the body, or {}."""

    status: int
    headers: Mapping[str, str]
    body: Mapping[str, Any]

    @classmethod
    def read(cls, status: int, headers: Mapping[str, str], content: bytes) -> "Answer":
        """Read a response. A body that is no JSON object counts as {}."""
        try:
            body = json.loads(content)
        except (ValueError, RecursionError):  # the latter: nested a thousand times
            body = None
        lower = {name.lower(): value for name, value in headers.items()}
        return cls(status, lower, body if isinstance(body, dict) else {})

    @property
    def request_id(self) -> str | None:
        """`X-Request-Id`: what support needs to find the request."""
        return self.headers.get("x-request-id")

    @property
    def retry_after_s(self) -> int | None:
        """`Retry-After` in seconds; None without one that is a number."""
        return number(self.headers.get("retry-after", ""))

    def text(self, name: str) -> str:
        """Return a field of the body as text, '' without it."""
        value = self.body.get(name)
        return "" if value is None else str(value)


def number(text: str) -> int | None:
    """Return a count of seconds; None where the text is none."""
    return int(text) if text.isdecimal() and len(text) <= MOST_DIGITS else None
