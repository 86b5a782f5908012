"""The memory twin of risk's tables."""

from collections.abc import Mapping, Sequence
from typing import Any

from payment_schemas.ids import PaymentId
from risk.domain import Assessment, AssessmentRequest, History, Waiting
from risk.store.port import TABLE, SuccessfulPayment, Window


class MemoryAssessments:
    """`own["assessment"]` has the requests of the work table; `own["assessed"]` the results."""

    def __init__(self, tx: Any) -> None:
        self._tx = tx
        self._own = tx.own

    async def add(self, assessments: Sequence[Assessment]) -> set[PaymentId]:
        new = [one for one in assessments if one.request.payment_id not in self._own[TABLE]]
        await self.save(new)
        return {one.request.payment_id for one in new}

    async def save(self, assessments: Sequence[Assessment]) -> None:
        for one in assessments:
            payment_id = one.request.payment_id
            self._own[TABLE][payment_id] = one.request
            self._own["assessed"][payment_id] = one
            due_at, trace = (one.due_at, one.trace) if isinstance(one, Waiting) else (None, None)
            self._tx.schedule(TABLE, payment_id, due_at, trace)

    async def histories(
        self, requests: Sequence[AssessmentRequest], window: Window
    ) -> Mapping[PaymentId, History]:
        return {one.payment_id: self._history(one, window) for one in requests}

    def _history(self, request: AssessmentRequest, window: Window) -> History:
        user = request.user_id
        recent = [
            one
            for one in self._own["recent_payment"].values()
            if one.user_id == user and one.confirmed_at > window.since
        ]
        return History(
            (user, request.to_account) in self._own["known_payee"],
            (user, request.country) in self._own["known_country"],
            min(len(recent), window.at_most),
        )

    async def add_payments(self, payments: Sequence[SuccessfulPayment]) -> None:
        for one in payments:
            self._own["known_payee"].setdefault((one.user_id, one.payee), one.confirmed_at)
            self._own["recent_payment"].setdefault(one.payment_id, one)
            if one.country is not None:
                self._own["known_country"].setdefault((one.user_id, one.country), one.confirmed_at)
