"""What a process does again and again, such as a reconciliation every hour."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from service_runtime.errors import Consequence, consequence_of
from service_runtime.logs import Log
from service_runtime.relay import pause

_log = Log("schedule")


@dataclass(frozen=True, slots=True)
class Schedule:
    """An action and how often; where something else is down it is done the next time."""

    name: str
    every_s: float
    action: Callable[[], Awaitable[None]]

    async def run(self, stopping: asyncio.Event) -> None:
        """Act until told to stop: first after one interval, so that a start costs nothing."""
        await pause(stopping, self.every_s)
        while not stopping.is_set():
            try:
                await self.action()
            except Exception as error:
                if consequence_of(error) is not Consequence.WAIT:
                    raise
                _log.warning("skipped", reason=self.name, error_class=type(error).__qualname__)
            await pause(stopping, self.every_s)
