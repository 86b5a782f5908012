"""The received messages: one for each delivery, however often it is sent."""

from collections import OrderedDict, deque
from dataclasses import dataclass
from itertools import count, islice
from typing import Any

MAX_MESSAGES = 20_000
"""A bound on memory: beyond it the oldest are removed, and would count as new again."""
MAX_LISTED = 1_000


@dataclass(slots=True)
class Message:
    """A message as first received, and the number of times."""

    sid: str
    to: str
    content: dict[str, Any]
    delivery_id: str | None
    received: int = 1

    def listed(self) -> dict[str, Any]:
        """Return it as `GET /messages` shows it."""
        seen = {"delivery_id": self.delivery_id, "received": self.received}
        return {"sid": self.sid, "to": self.to, **self.content, **seen}


class Messages:
    """All received messages, oldest first."""

    def __init__(self, limit: int = MAX_MESSAGES) -> None:
        self._limit = limit
        self._numbers = count()
        self._by_key: OrderedDict[tuple[str, str], Message] = OrderedDict()

    def add(self, message: Message) -> Message:
        """Store the message; return the first one of a repeated delivery."""
        # A message without a delivery id is no repeat; mails of one request share a sid.
        key = (message.delivery_id or f"message {next(self._numbers)}", message.to)
        first = self._by_key.get(key)
        if first is not None:
            first.received += 1
            return first
        self._by_key[key] = message
        if len(self._by_key) > self._limit:
            self._by_key.popitem(last=False)
        return message

    def to(self, recipient: str | None) -> list[Message]:
        """Return the messages to a recipient, or all: the newest thousand, oldest first."""
        newest_first = (
            message
            for message in reversed(self._by_key.values())
            if recipient is None or message.to == recipient
        )
        found = deque(islice(newest_first, MAX_LISTED))
        found.reverse()
        return list(found)
