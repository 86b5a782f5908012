"""Requests that wait for the outcome of a charge in this process."""

import asyncio
import contextlib
from collections.abc import Iterable, Iterator
from uuid import UUID


class Waiting:
    """Wakes the requests of charges that have changed, after their commit."""

    def __init__(self) -> None:
        self._events: dict[UUID, set[asyncio.Event]] = {}
        self._changed: set[UUID] = set()

    @contextlib.contextmanager
    def on(self, charge_id: UUID) -> Iterator[asyncio.Event]:
        """Yield an event that is set when the charge has changed."""
        event = asyncio.Event()
        events = self._events.setdefault(charge_id, set())
        events.add(event)
        try:
            yield event
        finally:
            events.discard(event)
            if not events:
                self._events.pop(charge_id, None)

    def note(self, ids: Iterable[UUID]) -> None:
        """Note charges that a transaction changes; `wake` follows its commit."""
        self._changed.update(one for one in ids if one in self._events)

    def wake(self) -> None:
        """Wake the requests of the noted charges. A mistaken wake-up reads the row once more."""
        changed, self._changed = self._changed, set()
        for one in changed:
            for event in self._events.get(one, ()):
                event.set()
