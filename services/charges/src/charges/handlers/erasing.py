"""Erased persons: their cards are deleted here and at the providers.

A card that an open payment needs is deleted by a job, once the payment has ended.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from charges.handlers.provisioning import ACTOR
from charges.store import Cards, ErasedSubjects
from payment_schemas.events.record import AuditRecorded
from payment_schemas.events.subject import SubjectErased
from service_runtime.clock import Clock
from service_runtime.jobs import Run
from service_runtime.messages import Batch, Cause, Emit, Events, ProducerRecord, Received
from service_runtime.postgres import PostgresTransaction
from service_runtime.unit_of_work import UnitOfWork

DELETED = "CARD_DELETED"
PAGE = 100
"""Cards of one commit."""


async def on_erased(batch: Batch[Received[SubjectErased]], store: ErasedSubjects) -> Events:
    """Note the persons; a job deletes their cards within seconds."""
    await store.add([item.event.user_id for item in batch])
    return ()


@dataclass(frozen=True, slots=True)
class Eraser:
    """Deletes the cards of erased persons, also those that are added afterwards."""

    unit: UnitOfWork
    clock: Clock

    async def run(self, _run: Run) -> None:
        """Delete all cards that no open payment needs, page by page."""
        deleted = PAGE
        while deleted == PAGE:
            deleted = await self._page()

    async def _page(self) -> int:
        cause, now, count = Cause(self.clock.new_id()), self.clock.now(), 0

        async def write(tx: PostgresTransaction) -> Sequence[ProducerRecord]:
            nonlocal count
            cards = await ErasedSubjects(tx).cards(PAGE)
            count = len(cards)
            for card in cards:
                await Cards(tx).delete(card.id, now)
            audited = [
                (AuditRecorded(actor=ACTOR, action=DELETED, about=card.token), card.token)
                for card in cards
            ]
            return [
                Emit(event, replace(cause, discriminator=token)).outgoing(ACTOR, now)
                for event, token in audited
            ]

        await self.unit.run_in_transaction(write)
        return count
