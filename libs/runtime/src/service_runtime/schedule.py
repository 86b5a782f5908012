"""What a process does again and again; a fault ends one turn, never the process."""

import asyncio
from collections.abc import Awaitable, Callable

from service_runtime.backoff import delay_s
from service_runtime.clock import Clock
from service_runtime.logs import Log
from service_runtime.relay import pause

Step = Callable[[], Awaitable[float]]
"""Does one turn; returns how many seconds to wait before the next."""

_log = Log("schedule")


async def repeat(name: str, step: Step, clock: Clock, stopping: asyncio.Event) -> None:
    """Take steps until the stop. A step returns the seconds to wait; after a fault, back off."""
    attempt = 0
    while not stopping.is_set():
        try:
            wait_s = await step()
            attempt = 0
        except Exception as error:  # noqa: BLE001 - a fault ends one step, not the process
            attempt += 1
            wait_s = delay_s(attempt, clock)
            _log.warning("skipped", reason=name, error_class=type(error).__qualname__)
        await pause(stopping, wait_s)
