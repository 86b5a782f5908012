"""Webhooks of providers: before the reply of a call, twice, out of order, or without a call.

What a webhook says goes through the same decisions as a reply, on the locked row, so that whichever
comes first decides and the other one changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from charges.clients import Report
from charges.domain.charge import Call, Policy, Step, after_reply
from charges.domain.refund import after_refund_reply
from charges.handlers.refunding import conclude
from charges.store import Refunds
from charges.store.changes import emit, note_late, save
from service_runtime.clock import Clock
from service_runtime.messages import Cause, Emit


@dataclass(frozen=True, slots=True)
class Reports:
    """Applies the webhooks of one provider."""

    provider: str
    policy: Policy
    clock: Clock

    async def apply(self, reports: Sequence[Report], store: Refunds, cause: Cause) -> list[Emit]:
        """Apply each report once; what is unknown here, or at another provider, is ignored."""
        events: list[Emit] = []
        for number, report in enumerate(reports):
            if not await store.charges.is_new(self.provider, report.event_id):
                continue
            own = Cause(cause.id, cause.trace, f"{self.provider}/{number}")
            apply = self._to_charge if report.about == "charge" else self._to_refund
            events += await apply(report, store, own)
        return events

    async def _to_charge(self, report: Report, store: Refunds, cause: Cause) -> list[Emit]:
        before = (await store.charges.lock([report.id])).get(report.id)
        if before is None or self.provider not in (before.provider, *before.tried):
            return []
        call, now = Call(Step.REPORT, report.attempt), self.clock.now()
        decision = after_reply(before, call, report.reply, now, self.policy)
        await save(before, decision.state, store.charges, self.clock)
        if decision.is_late:
            await note_late([decision.state], store.charges)
        return [emit(decision.state, cause)] if decision.changes(before) else []

    async def _to_refund(self, report: Report, store: Refunds, cause: Cause) -> list[Emit]:
        # The charge is locked before its refund, as everywhere.
        charge_id = await store.charge_of(report.id)
        if charge_id is None:
            return []
        charges = await store.charges.lock([charge_id])
        before = (await store.lock([report.id]))[report.id]
        if before.provider != self.provider:
            return []
        after = after_refund_reply(before, report.reply, self.clock.now(), self.policy)
        await store.save([after])
        return await conclude(before, after, charges, store, cause)
