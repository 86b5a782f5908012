"""Numbers under older keys of the vault are sealed under the current one, so that those can go.

Each opening is a row of `detokenization`, committed before it, and an `audit.recorded.v1` after it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from charges.clients.vault import Vault
from charges.handlers.provisioning import ACTOR
from charges.store import Cards
from payment_schemas.events.record import AuditRecorded
from payment_schemas.sealed import Sealed
from service_runtime import metrics
from service_runtime.clock import Clock
from service_runtime.errors import Rejected
from service_runtime.jobs import Run
from service_runtime.messages import Cause, Emit, ProducerRecord
from service_runtime.postgres import PostgresDatabase, PostgresTransaction
from service_runtime.unit_of_work import UnitOfWork

PAGE = 50
"""Cards of one commit."""
FIRST = UUID(int=0)
ACTION = "CARD_SEALED_ANEW"
_anew = metrics.counter("cards_sealed_anew", "Cards that were sealed under the current key.")


@dataclass(frozen=True, slots=True)
class Resealer:
    """Seals the numbers under older keys anew, page by page."""

    database: PostgresDatabase
    unit: UnitOfWork
    vault: Vault
    clock: Clock

    async def run(self, _run: Run) -> None:
        """Go through every older key that the ring has; a card that cannot be opened stays."""
        async with self.database.transaction() as tx:
            counts = await Cards(tx).key_counts()
        for kid in sorted(counts.keys() - {self.vault.current_kid}):
            after: UUID | None = FIRST if self.vault.key(kid) else None
            while after is not None:
                after = await self._page(kid, after)

    async def _page(self, kid: str, after: UUID) -> UUID | None:
        """Seal a page anew; return its last card, None where it is the last page."""
        async with self.database.transaction() as tx:
            page = await Cards(tx).under(kid, after, PAGE)
        sealed: dict[UUID, tuple[str, Sealed]] = {}
        for card, old in page:
            try:
                sealed[card.id] = await self.vault.seal_anew(old, card.id, self.clock.now())
            except Rejected:
                continue  # damaged: its opening for a provider fails with the reason
        await self._save(kid, sealed, {card.id: card.token for card, _ in page})
        return page[-1][0].id if len(page) == PAGE else None

    async def _save(
        self, kid: str, sealed: Mapping[UUID, tuple[str, Sealed]], tokens: Mapping[UUID, str]
    ) -> None:
        cause, now = Cause(self.clock.new_id()), self.clock.now()

        async def write(tx: PostgresTransaction) -> Sequence[ProducerRecord]:
            # A card that was deleted meanwhile is not under the key any more.
            done = await Cards(tx).seal_anew(kid, sealed)
            _anew.add(len(done))
            about = [(tokens[one], {"from": kid, "to": sealed[one][0]}) for one in sorted(done)]
            events = [
                AuditRecorded(actor=ACTOR, action=ACTION, about=token, metadata=keys)
                for token, keys in about
            ]
            return [
                Emit(event, replace(cause, discriminator=token)).outgoing(ACTOR, now)
                for event, (token, _) in zip(events, about, strict=True)
            ]

        await self.unit.run_in_transaction(write)
