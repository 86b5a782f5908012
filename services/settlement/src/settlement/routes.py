"""What operators may ask settlement."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Protocol
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from payment_schemas.ids import Printable
from service_runtime.paging import BY_PAYMENT, Page
from service_runtime.ports import Database
from service_runtime.web import JsonResponse
from settlement.domain.reconciliation import Case, CaseStatus, Proposal, Refused, Resolution
from settlement.store import Cases, Instructions

MOST_CASES = 1000
Day = Annotated[date, Field(ge=date(2000, 1, 1), le=date(2199, 12, 31))]


class ToReconcile(BaseModel):
    """Whose statement of which day is to be read."""

    model_config = ConfigDict(extra="forbid")

    partner: str = Field(max_length=32)
    date: Day


class ToResolve(BaseModel):
    """What is to become of a case, who says so, and why."""

    model_config = ConfigDict(extra="forbid")

    resolution: Resolution
    actor: Printable = Field(min_length=1, max_length=128)
    note: str = Field(min_length=1, max_length=500, pattern=r"^[^\x00]+$")


class Told(Protocol):
    """Something that can be shown."""

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        ...


class Reconciler(Protocol):
    """Whoever reads statements."""

    @property
    def partners(self) -> frozenset[str]:
        """Whose statements can be read."""
        ...

    async def reconcile(self, partner: str, day: date) -> Told:
        """Compare a partner's statement of a day with our instructions."""
        ...


@dataclass(frozen=True, slots=True)
class CaseOperations:
    """What people may do about breaks."""

    database: Database
    cases: Callable[[Any], Cases]
    reconciler: Reconciler
    resolve: Callable[[UUID, Proposal], Awaitable[Case | Refused | None]]


def case_routes(
    cases: CaseOperations, may_read: Callable[[Request], str], may_write: Callable[[Request], str]
) -> APIRouter:
    """Return the routes for reconciliations and cases; what changes anything needs `ops.write`."""
    router = APIRouter(prefix="/admin", dependencies=[Depends(may_read)])
    router.include_router(_reads(cases))
    router.include_router(_changes(cases), dependencies=[Depends(may_write)])
    return router


def _reads(cases: CaseOperations) -> APIRouter:
    router = APIRouter()

    @router.get("/cases")
    async def listed(
        status: CaseStatus | None = None, limit: Annotated[int, Query(ge=1, le=MOST_CASES)] = 100
    ) -> Response:
        async with cases.database.transaction() as tx:
            found = await cases.cases(tx).find(status=status, limit=limit)
        return JsonResponse({"cases": found})

    @router.get("/cases/{case_id}")
    async def one(case_id: UUID) -> Response:
        async with cases.database.transaction() as tx:
            found = await cases.cases(tx).find(case_id)
        return JsonResponse(found[0]) if found else _no_case(case_id)

    return router


def _changes(cases: CaseOperations) -> APIRouter:
    router = APIRouter()

    @router.post("/reconciliations")
    async def reconcile(wanted: ToReconcile) -> Response:
        if wanted.partner not in cases.reconciler.partners:
            details = f"must be one of {', '.join(sorted(cases.reconciler.partners))}"
            return JsonResponse({"error": "Invalid field: partner", "details": details}, 400)
        report = await cases.reconciler.reconcile(wanted.partner, wanted.date)
        return JsonResponse(report.as_dict())

    @router.post("/cases/{case_id}/resolve")
    async def resolve(case_id: UUID, wanted: ToResolve) -> Response:
        proposal = Proposal(wanted.resolution, wanted.actor, wanted.note)
        decided = await cases.resolve(case_id, proposal)
        if decided is None:
            return _no_case(case_id)
        if isinstance(decided, Refused):
            return JsonResponse({"error": "Not resolved", "details": decided.reason}, 409)
        told = {"case_id": case_id, "status": decided.status, "resolution": decided.resolution}
        return JsonResponse(told | {"proposed_by": decided.proposed_by})

    return router


def _no_case(case_id: UUID) -> Response:
    # Not 404: that is what an older version says, which has no such route.
    return JsonResponse({"error": f"Unknown case: {case_id}"}, 409)


def routes(
    database: Database,
    store: Callable[[Any], Instructions],
    may_read: Callable[[Request], str],
) -> APIRouter:
    """Return the routes under `/admin`, for callers with the scope `ops.read`."""
    router = APIRouter(prefix="/admin", dependencies=[Depends(may_read)])

    @router.get("/instructions")
    async def instructions(payment_id: UUID | None = None, uetr: UUID | None = None) -> Response:
        if (payment_id is None) is (uetr is None):
            details = "either payment_id or uetr, and not both"
            return JsonResponse({"error": "Invalid field: payment_id", "details": details}, 400)
        async with database.transaction() as tx:
            return JsonResponse({"instructions": await store(tx).find(payment_id, uetr)})

    @router.get("/instructions/export")
    async def export(page: Annotated[Page, Depends(BY_PAYMENT)]) -> Response:
        async with database.transaction() as tx:
            found = await store(tx).export(page.after[0], page.limit)
        return JsonResponse(page.reply("instructions", found))

    @router.get("/check")
    async def check(since: AwareDatetime | None = None) -> Response:
        """Hold what has not ended, and what has since then (absent: ever), to the rules."""
        async with database.transaction() as tx:
            return JsonResponse(await store(tx).health(since))

    return router
