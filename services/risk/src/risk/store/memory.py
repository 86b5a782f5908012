"""The memory twin of risk's tables."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from payment_schemas.ids import PaymentId
from risk.domain import Assessed, Assessment, AssessmentRequest, History, Waiting
from risk.store.port import (
    LISTED,
    OVERDUE,
    RESULT_COLUMNS,
    TABLE,
    Learned,
    Window,
    findings,
    result_columns,
)
from service_runtime.ports import Lease


class MemoryAssessments:
    """The twin: `own["assessment"]` holds questions as the work table does, results beside them."""

    def __init__(self, tx: Any) -> None:
        self._tx = tx
        self._own = tx.own

    async def add(self, assessments: Sequence[Assessment]) -> set[PaymentId]:
        new = [one for one in assessments if one.question.payment_id not in self._own[TABLE]]
        await self.save(new)
        return {one.question.payment_id for one in new}

    async def save(self, assessments: Sequence[Assessment]) -> None:
        for one in assessments:
            payment_id = one.question.payment_id
            self._own[TABLE][payment_id] = one.question
            self._own["assessed"][payment_id] = one
            due_at, trace = (one.due_at, one.trace) if isinstance(one, Waiting) else (None, None)
            self._tx.schedule(TABLE, payment_id, due_at, trace)

    async def histories(
        self, questions: Sequence[AssessmentRequest], window: Window
    ) -> Mapping[PaymentId, History]:
        return {one.payment_id: self._history(one, window) for one in questions}

    def _history(self, question: AssessmentRequest, window: Window) -> History:
        user = question.user_id
        recent = [
            one
            for one in self._own["recent_payment"].values()
            if one.user_id == user and one.confirmed_at > window.since
        ]
        return History(
            (user, question.to_account) in self._own["known_payee"],
            (user, question.country) in self._own["known_country"],
            min(len(recent), window.at_most),
        )

    async def learn(self, payments: Sequence[Learned]) -> None:
        for one in payments:
            self._own["known_payee"].setdefault((one.user_id, one.payee), one.confirmed_at)
            self._own["recent_payment"].setdefault(one.payment_id, one)
            if one.country is not None:
                self._own["known_country"].setdefault((one.user_id, one.country), one.confirmed_at)

    async def of_payment(self, payment_id: UUID) -> list[dict[str, Any]]:
        return [_shown(one) for one in (self._own["assessed"].get(payment_id),) if one]

    async def export(self, after: UUID, limit: int) -> list[dict[str, Any]]:
        page = sorted(name for name in self._own["assessed"] if name > after)[:limit]
        return [_exported(name, self._own["assessed"][name]) for name in page]

    async def check(self, now: datetime) -> dict[str, Any]:
        leases: dict[UUID, Lease] = self._own[f"{TABLE}/lease"]
        waiting = {
            name: self._own[TABLE][name] for name, one in leases.items() if one.due_at is not None
        }
        overdue = [
            {"payment_id": name, "details": f"waits past its end since {one.expires_at}"}
            for name, one in waiting.items()
            if one.expires_at < now - OVERDUE
        ]
        unfinished = [
            {"payment_id": name, "age_s": (now - one.requested_at).total_seconds()}
            for name, one in waiting.items()
        ]
        parked = sum(lease.parked is not None for lease in leases.values())
        counts = {"parked": parked, "dead_letters": len(self._tx.tables.dead_letters)}
        return findings(overdue[:LISTED], unfinished[:LISTED], counts)


def _shown(one: Assessment) -> dict[str, Any]:
    result = one.result if isinstance(one, Assessed) else None
    columns = result_columns(result) if result else dict.fromkeys(RESULT_COLUMNS)
    return columns | {
        "status": type(one).__name__.upper(),
        "requested_at": one.question.requested_at,
        "assessed_at": one.assessed_at if isinstance(one, Assessed) else None,
    }


def _exported(payment_id: UUID, one: Assessment) -> dict[str, Any]:
    shown = _shown(one)
    told = {name: shown[name] for name in ("status", "score", "sanctions", "kyc")}
    return told | {"payment_id": payment_id, "screenings": len(shown["screenings"] or ())}
