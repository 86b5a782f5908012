"""What waits at partner banks on Kafka, as metrics."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from service_runtime import metrics
from service_runtime.messages import ProducerRecord
from settlement.handlers.reconciliation import RunInTransaction
from settlement.store import Waiting

Look = Callable[[Any], Awaitable[Sequence[Waiting]]]


class PartnerWatch:
    """Counts, at an interval, what waits at each partner on Kafka."""

    def __init__(self, look: Look, run_in_transaction: RunInTransaction) -> None:
        self._look = look
        self._run_in_transaction = run_in_transaction
        self._found: Sequence[Waiting] = ()
        self._show("unanswered", "Instructions without a report for too long.")
        self._show("oldest_s", "Age of the oldest instruction without a report.", "unanswered_age")
        self._show("queued", "Instructions that wait for the end of a suspension.")
        self._show("statement_s", "Time since the day of the last statement.", "statement_age")

    def _show(self, field: str, description: str, name: str = "") -> None:
        def read() -> dict[str, float]:
            return {one.partner: float(getattr(one, field)) for one in self._found}

        metrics.gauge(f"settlement_{name or field}", description, read, label="partner")

    async def count(self) -> None:
        """Count anew."""
        await self._run_in_transaction(self._count)

    async def _count(self, tx: Any) -> Sequence[ProducerRecord]:
        self._found = await self._look(tx)
        return ()
