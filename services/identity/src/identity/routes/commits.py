"""The commit point of routes whose bodies hold secrets.

The HTTP unit of work keeps a hash of the body and the whole response for a repeated
`Idempotency-Key`. Neither may be stored of a password or a token, so these routes ignore the
header; each says what a repeat does.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from fastapi import Request

from payment_schemas.events.record import AuditRecorded
from service_runtime import tracing
from service_runtime.clock import Clock
from service_runtime.messages import Cause, Emit, ProducerRecord
from service_runtime.postgres import PostgresTransaction
from service_runtime.unit_of_work import UnitOfWork

Act = Callable[[PostgresTransaction], Awaitable[Sequence[AuditRecorded]]]
"""Writes in the transaction; returns what the audit log records. A race runs it again."""


@dataclass(frozen=True, slots=True)
class Commits:
    """Commits what a request writes, with its audit records."""

    unit: UnitOfWork
    service: str
    clock: Clock

    async def run(self, request: Request, act: Act) -> None:
        """Commit; raise Conflict or Unavailable, and nothing is written then."""
        now = self.clock.now()

        async def write(tx: PostgresTransaction) -> Sequence[ProducerRecord]:
            return [
                Emit(event, _cause(request, event)).outgoing(self.service, now)
                for event in await act(tx)
            ]

        await self.unit.run_in_transaction(write)


def _cause(request: Request, event: AuditRecorded) -> Cause:
    return Cause(request.state.request_id, tracing.current_trace(), discriminator=event.action)
