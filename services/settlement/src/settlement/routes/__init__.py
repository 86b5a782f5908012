"""Operator routes of settlement."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Annotated, Any, Protocol
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from service_runtime.admin import add_check, add_export, admin_router, check_router, together
from service_runtime.keys import KeyRing
from service_runtime.operators import Operators
from service_runtime.paging import START, Keyset, Page
from service_runtime.ports import Database
from service_runtime.postgres import PostgresDatabase
from service_runtime.sealing import key_set
from service_runtime.web import JsonResponse
from settlement.domain import Instruction
from settlement.domain.reconciliation import Case, CaseStatus, Proposal, Refused, Resolution
from settlement.domain.statements import Booking
from settlement.store import TABLE, Cases, PostgresCases, queries

MOST_CASES = 1000
BY_AGE = Keyset(["created_at", "payment_id"], [queries.EVERYTHING, START], most=500)
PARTNER_KEYS = "/.well-known/partner-jwks.json"
Day = Annotated[date, Field(ge=date(2000, 1, 1), le=date(2199, 12, 31))]


class ReconcileRequest(BaseModel):
    """The partner and the day of the statement to read."""

    model_config = ConfigDict(extra="forbid")

    partner: str = Field(max_length=32)
    date: Day


class ResolveRequest(BaseModel):
    """The proposed resolution of a case, and its reason."""

    model_config = ConfigDict(extra="forbid")

    resolution: Resolution
    note: str = Field(min_length=1, max_length=500, pattern=r"^[^\x00]+$")


class ReportBody(Protocol):
    """A report that can be returned as JSON."""

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain values."""
        ...


class Reconciler(Protocol):
    """Reconciles statements."""

    @property
    def partners(self) -> frozenset[str]:
        """The partners whose statements can be read."""
        ...

    async def reconcile(self, partner: str, day: date) -> ReportBody:
        """Compare a partner's statement of a day with our instructions."""
        ...


@dataclass(frozen=True, slots=True)
class CaseOperations:
    """The operations of people on cases, and their dependencies."""

    database: Database
    cases: Callable[[Any], Cases]
    reconciler: Reconciler
    resolve: Callable[[UUID, Proposal], Awaitable[Case | Refused | None]]


def case_routes(cases: CaseOperations, operators: Operators) -> APIRouter:
    """Return the routes for reconciliations and cases."""
    return together(_read_routes(cases, operators), _write_routes(cases, operators))


def _read_routes(cases: CaseOperations, operators: Operators) -> APIRouter:
    router, checks = admin_router(operators), check_router(operators)

    @checks.get("/cases")
    async def listed(
        status: CaseStatus | None = None, limit: Annotated[int, Query(ge=1, le=MOST_CASES)] = 100
    ) -> Response:
        async with cases.database.transaction() as tx:
            found = await cases.cases(tx).find(status=status, limit=limit)
        return JsonResponse({"cases": found})

    @router.get("/cases/{case_id}")
    async def one(case_id: UUID) -> Response:
        """Return a case with both sides: our instruction, and the bookings of the bank."""
        async with cases.database.transaction() as tx:
            store = cases.cases(tx)
            found = await store.find(case_id)
            if not found:
                return _no_case(case_id)
            case, uetr = found[0], found[0]["uetr"]
            ours = (await store.instructions_of([uetr])).get(uetr)
            theirs = (await store.booked(case["partner"], [uetr])).get(uetr, [])
        return JsonResponse(case | {"instruction": our_side(ours), "bookings": their_side(theirs)})

    return together(router, checks)


def _write_routes(cases: CaseOperations, operators: Operators) -> APIRouter:
    router = APIRouter(prefix="/admin")

    @router.post("/reconciliations", dependencies=[Depends(operators.require("ops.write"))])
    async def reconcile(wanted: ReconcileRequest) -> Response:
        if wanted.partner not in cases.reconciler.partners:
            details = f"must be one of {', '.join(sorted(cases.reconciler.partners))}"
            return JsonResponse({"error": "Invalid field: partner", "details": details}, 400)
        report = await cases.reconciler.reconcile(wanted.partner, wanted.date)
        return JsonResponse(report.as_dict())

    may_propose = operators.require("cases.propose")
    may_approve = operators.require("cases.approve")

    @router.post("/cases/{case_id}/resolve")
    async def resolve(
        case_id: UUID, wanted: ResolveRequest, actor: Annotated[str, Depends(may_propose)]
    ) -> Response:
        """Propose SETTLE or RETURN, or close a case as EXPLAINED."""
        return await decide(case_id, Proposal(wanted.resolution, actor, wanted.note))

    @router.post("/cases/{case_id}/approve")
    async def approve(
        case_id: UUID, wanted: ResolveRequest, actor: Annotated[str, Depends(may_approve)]
    ) -> Response:
        """Approve the resolution that another person has proposed."""
        proposal = Proposal(wanted.resolution, actor, wanted.note, is_approval=True)
        return await decide(case_id, proposal)

    async def decide(case_id: UUID, proposal: Proposal) -> Response:
        decided = await cases.resolve(case_id, proposal)
        if decided is None:
            return _no_case(case_id)
        if isinstance(decided, Refused):
            return JsonResponse({"error": "Not resolved", "details": decided.reason}, 409)
        body = {"case_id": case_id, "status": decided.status, "resolution": decided.resolution}
        return JsonResponse(body | {"proposed_by": decided.proposed_by})

    return router


def our_side(instruction: Instruction | None) -> dict[str, Any] | None:
    """Return what our books have of a transfer."""
    if instruction is None:
        return None
    return {
        "payment_id": instruction.payment_id,
        "transaction_id": instruction.transaction_id,
        "partner": instruction.partner,
        "status": instruction.status,
        **asdict(instruction.money),
        "debtor_account": instruction.debtor_account,
        "creditor_account": instruction.creditor_account,
        "confirmed_at": instruction.confirmed_at,
        "sent_at": instruction.sent_at,
        "bank_reference": instruction.bank_reference,
        "reason": instruction.reason,
    }


def their_side(bookings: Sequence[Booking]) -> list[dict[str, Any]]:
    """Return what the bank's statements have of a transfer; an unreadable amount is null."""
    return [
        {
            "day": one.day,
            "amount_minor": one.entry.money.amount_minor if one.entry.money else None,
            "currency": one.entry.money.currency if one.entry.money else None,
            "is_reversal": one.entry.is_reversal,
            "bank_reference": one.entry.bank_reference,
            "booked_at": one.entry.booked_at,
        }
        for one in bookings
    ]


def _no_case(case_id: UUID) -> Response:
    # Not 404: an older version without this route answers 404.
    return JsonResponse({"error": f"Unknown case: {case_id}"}, 409)


def key_routes(signing_keys: KeyRing) -> APIRouter:
    """Return the route of the keys with which banks verify our signatures; it is open to all."""
    router = APIRouter()

    @router.get(PARTNER_KEYS)
    async def partner_keys() -> Response:
        return JsonResponse(key_set(signing_keys))

    return router


def routes(database: PostgresDatabase, operators: Operators) -> APIRouter:
    """Return the routes that read instructions; they need the scope `ops.read`."""
    router, checks = admin_router(operators), check_router(operators)

    @router.get("/instructions")
    async def instructions(payment_id: UUID | None = None, uetr: UUID | None = None) -> Response:
        if (payment_id is None) is (uetr is None):
            details = "exactly one of payment_id and uetr is required"
            return JsonResponse({"error": "Invalid field: payment_id", "details": details}, 400)
        async with database.transaction() as tx:
            found = await queries.find(tx, payment_id, uetr)
            # An operator who looks at a payment needs the cases about it, too.
            cases = await PostgresCases(tx).unresolved([one["uetr"] for one in found])
            return JsonResponse({"instructions": found, "cases": cases})

    @router.get("/instructions/open")
    async def counted() -> Response:
        """Count the open instructions by partner and status."""
        async with database.transaction() as tx:
            found = await queries.open_by_partner(tx)
        return JsonResponse({"open": found, "at_most": queries.MOST_OPEN})

    @router.get("/instructions/search")
    async def search(
        partner: Annotated[str, Query(pattern=r"^[a-z0-9-]{3,32}$")],
        page: Annotated[Page, Depends(BY_AGE)],
    ) -> Response:
        """Return a partner's open instructions, the oldest first."""
        after = page.after[0], page.after[1]
        async with database.transaction() as tx:
            found = await queries.search(tx, partner, after, page.limit)
        return JsonResponse(page.reply("instructions", found))

    add_export(checks, database, "instructions", queries.export)
    add_check(checks, database, queries.check, TABLE)
    return together(router, checks)
