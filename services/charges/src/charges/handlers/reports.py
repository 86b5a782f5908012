"""Webhooks of providers: before the reply of a call, twice, out of order, or without a call.

What a webhook says goes through the same decisions as a reply, on the locked row, so that whichever
comes first decides and the other one changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from charges.clients import DisputeReport, Report
from charges.domain.charge import Call, Policy, Step, after_reply
from charges.domain.disputes import Booked, DisputeNews, after_news, opened
from charges.domain.refund import after_refund_reply
from charges.handlers.refunding import conclude
from charges.store import Disputes, Refunds
from charges.store.changes import emit, note_dispute, note_late, save
from payment_schemas.ids import event_id_of
from service_runtime.clock import Clock
from service_runtime.logs import Log
from service_runtime.messages import Cause, Emit

_log = Log("charges")


@dataclass(frozen=True, slots=True)
class Reports:
    """Applies the webhooks of one provider."""

    provider: str
    policy: Policy
    clock: Clock

    async def apply(
        self, reports: Sequence[Report | DisputeReport], store: Refunds, cause: Cause
    ) -> list[Emit]:
        """Apply each report once; what is unknown here, or at another provider, is ignored."""
        events: list[Emit] = []
        for number, report in enumerate(reports):
            if not await store.charges.is_new(self.provider, report.event_id):
                continue
            own = Cause(cause.id, cause.trace, f"{self.provider}/{number}")
            events += await self._applied(report, store, own)
        return events

    async def _applied(
        self, report: Report | DisputeReport, store: Refunds, cause: Cause
    ) -> list[Emit]:
        if isinstance(report, DisputeReport):
            return await self._to_dispute(report, Disputes(store.tx), cause)
        apply = self._to_charge if report.about == "charge" else self._to_refund
        return await apply(report, store, cause)

    async def _to_dispute(self, report: DisputeReport, store: Disputes, cause: Cause) -> list[Emit]:
        news = report.news
        charge_id = await store.charge_of(self.provider, news)
        if charge_id is None:
            _log.error("dispute_of_no_charge", subject=news.dispute_id, reason=news.reason)
            return []
        charge = (await store.charges.lock([charge_id]))[charge_id]
        known = await store.lock(self.provider, news.dispute_id)
        booked = Booked(known, charge) if known else opened(charge, news, _row_id(cause, news))
        after = after_news(booked, news.status)
        if known and after.dispute == known:
            return []
        await store.save(after.dispute)
        await store.charges.save([after.charge])
        await store.charges.post(after.transfers)
        note_dispute(after.dispute)
        return [emit(after.charge, cause)]

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


def _row_id(cause: Cause, news: DisputeNews) -> UUID:
    """Return a new dispute's id; one webhook may open several."""
    return event_id_of(cause.id, "dispute", news.dispute_id)
