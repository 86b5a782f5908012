"""Cards are stored at the providers: the one place where the vault opens a number.

Each opening is a row of `detokenization`, committed before it, and an `audit.recorded.v1` after it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from charges.clients import Provider
from charges.clients.vault import Codes, Vault
from charges.domain.cards import Card, CardData
from charges.domain.charge import Policy
from charges.domain.provisions import Provision, after_store
from charges.domain.replies import Reply
from charges.store import Cards, Waiting
from payment_schemas.events.record import AuditRecorded
from payment_schemas.sealed import Sealed
from service_runtime.messages import Batch, Due, Emit, Events

ACTOR, ACTION = "charges", "CARD_DETOKENIZED"
Planned = tuple[Card, Sealed]


async def plan_provisions(due: Sequence[Due[Provision]], store: Cards) -> Mapping[UUID, Planned]:
    """Read the sealed numbers, and note with the claim that they are opened."""
    return await store.open([item.row for item in due])


@dataclass(frozen=True, slots=True)
class Provisioner:
    """Opens a card's number, and has one provider store it."""

    providers: Mapping[str, Provider]
    vault: Vault
    codes: Codes

    async def __call__(self, due: Due[Provision], planned: Planned) -> tuple[Card, Reply]:
        """Return the provider's reply."""
        card, sealed = planned
        number = await self.vault.reveal(sealed, card.id)
        data = CardData(number, card.expiry, card.network, self.codes.of(card.id))
        provider = self.providers[due.row.provider]
        return card, await provider.store(due.row.reference, card.user_id, data)


async def on_provisioned(
    batch: Batch[Due[Provision], tuple[Card, Reply]],
    store: Cards,
    policy: Policy,
    waiting: Waiting,
) -> Events:
    """Save the providers' tokens, and record who has opened a number, and what for."""
    after = {
        item.row.id: after_store(item.row, batch.lookups[item.cause.id][1], batch.now, policy)
        for item in batch
    }
    await store.save(list(after.values()))
    waiting.note(store.tx, [item.row.card_id for item in batch])
    return [
        Emit(_audit(batch.lookups[item.cause.id][0], after[item.row.id]), item.cause)
        for item in batch
    ]


def _audit(card: Card, row: Provision) -> AuditRecorded:
    about = {"provider": row.provider, "outcome": row.status.value, "try": str(row.tries)}
    return AuditRecorded(actor=ACTOR, action=ACTION, about=card.token, metadata=about)
