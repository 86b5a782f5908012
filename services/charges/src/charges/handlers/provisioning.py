"""Cards are stored at the providers, for which the vault opens their numbers, and deleted there.

Each opening is a row of `detokenization`, committed before it, and an `audit.recorded.v1` after it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from charges.clients import Provider
from charges.clients.vault import Codes, Vault
from charges.domain.cards import Card, CardData
from charges.domain.charge import Policy
from charges.domain.provisions import (
    CARD_DELETED,
    Provision,
    ProvisionStatus,
    after_delete,
    after_store,
    to_delete,
)
from charges.domain.replies import Kind, Reply
from charges.store import Cards, Waiting
from payment_schemas.events.record import AuditRecorded
from payment_schemas.sealed import Sealed
from service_runtime.messages import Batch, Due, Emit, Events

ACTOR, OPENED, DELETED = "charges", "CARD_DETOKENIZED", "CARD_DELETED_AT_PROVIDER"
NOT_CONNECTED = Reply(Kind.NOT_SENT, "not_connected")
"""Of a provider that is off."""
Planned = tuple[Card, Sealed | None]
"""None: nothing is opened, because the card is deleted."""


async def plan_provisions(due: Sequence[Due[Provision]], store: Cards) -> Mapping[UUID, Planned]:
    """Read the sealed numbers, and note with the claim that they are opened."""
    return await store.open([item.row for item in due])


@dataclass(frozen=True, slots=True)
class Provisioner:
    """Opens a card's number, and has one provider store it; or has it delete a card."""

    providers: Mapping[str, Provider]
    vault: Vault
    codes: Codes

    async def __call__(self, due: Due[Provision], planned: Planned) -> tuple[Card, Reply]:
        """Return the provider's reply."""
        card, sealed = planned
        provider = self.providers.get(due.row.provider)
        if provider is None:
            return card, NOT_CONNECTED
        if due.row.status is ProvisionStatus.DELETING:
            return card, await provider.forget(card.user_id, due.row.provider_token or "")
        if sealed is None:
            return card, Reply(Kind.REFUSED, CARD_DELETED)
        number = await self.vault.reveal(sealed, card.id)
        data = CardData(number, card.expiry, card.network, self.codes.of(card.id))
        return card, await provider.store(due.row.reference, card.user_id, data)


async def on_provisioned(
    batch: Batch[Due[Provision], tuple[Card, Reply]],
    store: Cards,
    policy: Policy,
    waiting: Waiting,
) -> Events:
    """Save the providers' tokens, and record who has opened a number, and what for.

    The cards are locked: one that was deleted meanwhile is deleted at the provider, too.
    """
    deleted = await store.deleted(item.row.card_id for item in batch)
    after: dict[UUID, Provision] = {}
    for item in batch:
        reply = batch.lookups[item.cause.id][1]
        if item.row.status is ProvisionStatus.DELETING:
            after[item.row.id] = after_delete(item.row, reply, batch.now, policy)
            continue
        stored = after_store(item.row, reply, batch.now, policy)
        is_deleted = item.row.card_id in deleted
        after[item.row.id] = to_delete(stored, batch.now) if is_deleted else stored
    await store.save(list(after.values()))
    waiting.note(store.tx, [item.row.card_id for item in batch])
    return [
        Emit(_audit(batch.lookups[item.cause.id][0], item.row, after[item.row.id]), item.cause)
        for item in batch
        if batch.lookups[item.cause.id][1].code != CARD_DELETED
    ]


def _audit(card: Card, before: Provision, row: Provision) -> AuditRecorded:
    action = DELETED if before.status is ProvisionStatus.DELETING else OPENED
    about = {"provider": row.provider, "outcome": row.status.value, "try": str(row.tries)}
    return AuditRecorded(actor=ACTOR, action=action, about=card.token, metadata=about)
