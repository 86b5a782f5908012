"""Due refunds: the call, and what follows from the reply."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from charges.clients import Provider
from charges.domain.acts import after_refund
from charges.domain.charge import Charge, Policy
from charges.domain.postings import refund_outcome
from charges.domain.refund import (
    REFUND_ENDED,
    Refund,
    RefundStatus,
    RefundStep,
    after_refund_reply,
    begin_refund,
)
from charges.domain.replies import Reply
from charges.store import Refunds, Waiting
from charges.store.changes import emit
from service_runtime.messages import Batch, Cause, Due, Emit, Events


@dataclass(frozen=True, slots=True)
class RefundPlan:
    """The call that is due."""

    refund: Refund
    step: RefundStep
    is_first: bool


async def plan_refunds(due: Sequence[Due[Refund]], store: Refunds) -> Mapping[UUID, RefundPlan]:
    """Commit with the claim that the calls begin."""
    plans = {
        item.row.id: RefundPlan(
            begin_refund(item.row) if item.row.next_step is RefundStep.SEND else item.row,
            item.row.next_step,
            is_first=item.row.next_step is RefundStep.SEND and not item.row.was_sent,
        )
        for item in due
    }
    await store.save([one.refund for one in plans.values() if one.step is RefundStep.SEND])
    return plans


@dataclass(frozen=True, slots=True)
class RefundCaller:
    """Makes the call of one refund."""

    providers: Mapping[str, Provider]

    async def __call__(self, _due: Due[Refund], made: RefundPlan) -> tuple[RefundPlan, Reply]:
        """Return the reply."""
        provider = self.providers[made.refund.provider]
        if made.step is RefundStep.SEND:
            return made, await provider.refund(made.refund)
        return made, await provider.enquire_refund(made.refund)


async def on_refund_called(
    batch: Batch[Due[Refund], tuple[RefundPlan, Reply]],
    store: Refunds,
    policy: Policy,
    waiting: Waiting,
) -> Events:
    """Save what follows from the replies: refunds, their charges, transfers, events."""
    charges = await store.charges.lock(item.row.charge_id for item in batch)
    # The epochs are checked here: a charge is locked before its refunds, everywhere.
    epochs = {item.row.id: item.epoch for item in batch}
    refunds = await store.lock(epochs, epochs)
    events: list[Emit] = []
    for item in (one for one in batch if one.row.id in refunds):
        made, reply = batch.lookups[item.cause.id]
        before = refunds[item.row.id]
        after = after_refund_reply(before, reply, batch.now, policy, is_first=made.is_first)
        await store.save([after], ends_lease=True)
        events += await conclude(before, after, charges, store, item.cause)
    waiting.note(store.tx, charges)
    return events


async def conclude(
    before: Refund, after: Refund, charges: dict[UUID, Charge], store: Refunds, cause: Cause
) -> list[Emit]:
    """Book a refund's outcome on its locked charge and on the ledger, once."""
    if before.status in REFUND_ENDED or after.status not in REFUND_ENDED:
        return []
    is_done = after.status is RefundStatus.SUCCEEDED
    charge = charges[after.charge_id]
    charges[charge.id] = after_refund(charge, after.money.amount_minor, is_done=is_done)
    await store.charges.save([charges[charge.id]])
    await store.charges.post([refund_outcome(after, is_done=is_done)])
    return [emit(charges[charge.id], cause)]
