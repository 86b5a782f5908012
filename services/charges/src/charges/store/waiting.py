"""Requests that wait for the outcome of a charge in this process."""

import asyncio
import contextlib
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from service_runtime.messages import Cause, Due
from service_runtime.postgres import PostgresTransaction


class Waiting:
    """Wakes the requests of charges that have changed, after their commit."""

    def __init__(self) -> None:
        self._events: dict[UUID, set[asyncio.Event]] = {}

    @contextlib.contextmanager
    def on(self, charge_id: UUID, event: asyncio.Event) -> Iterator[None]:
        """Have an event set when the charge has changed."""
        events = self._events.setdefault(charge_id, set())
        events.add(event)
        try:
            yield
        finally:
            events.discard(event)
            if not events:
                self._events.pop(charge_id, None)

    def note(self, tx: PostgresTransaction, ids: Iterable[UUID]) -> None:
        """Note charges that a transaction changes: it hands them over after its commit."""
        noted = [one for one in ids if one in self._events]
        tx.handed_over.extend((self, Due(None, Cause(one), 0, 0)) for one in noted)

    def take(self, due: Due[Any], _since: datetime) -> None:
        """Wake the requests of a changed charge."""
        for event in self._events.get(due.cause.id, ()):
            event.set()
