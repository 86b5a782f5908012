"""Memory twins of confirm: commands with their replies, and reads."""

import asyncio
from collections.abc import Callable
from typing import Any

from payment_schemas.answers import Answer
from payment_schemas.events.confirmation import ConfirmRequested
from service_runtime.errors import Unavailable
from service_runtime.messages import Trace


class MemoryConfirmation:
    """Replies to commands by a function; without `reachable` there is no broker."""

    def __init__(self, answer: Callable[[ConfirmRequested], Answer | None]) -> None:
        self._answer = answer
        self.reachable = True
        self.is_full = False
        self.sent: list[tuple[ConfirmRequested, Trace]] = []

    async def ask(self, command: ConfirmRequested, trace: Trace, within_s: float) -> Answer | None:
        if not self.reachable:
            raise Unavailable("no broker")
        self.sent.append((command, trace))
        answer = self._answer(command)
        if answer is None:
            await asyncio.sleep(within_s)
        return answer


class MemoryReads:
    """Payments by user and transaction; without `reachable` there is no confirm."""

    def __init__(self) -> None:
        self.payments: dict[tuple[str, str], dict[str, Any]] = {}
        self.reachable = True

    async def payment(self, user_id: str, transaction_id: str) -> dict[str, Any] | None:
        if not self.reachable:
            raise Unavailable("no confirm responds")
        return self.payments.get((user_id, transaction_id))
