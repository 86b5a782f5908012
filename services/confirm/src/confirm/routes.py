"""Confirm's HTTP routes: the gateway's read and the operators' routes."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from confirm.domain.events import status_changed
from confirm.domain.ledger import INTERNAL
from confirm.domain.opening import Opening
from confirm.domain.payment import Payment, Status
from confirm.store.check import findings
from confirm.store.records import (
    ForeignAccountError,
    LedgerFullError,
    PaymentQueries,
    page_of_payments,
)
from confirm.store.search import Wanted, activity, search
from double_entry.check import LedgerCheck
from double_entry.store import PostgresLedger
from payment_schemas.answers import PublicSettlementStatus
from payment_schemas.card_numbers import holds_card_number
from payment_schemas.encrypted import KEYS_PATH
from payment_schemas.events.record import AuditRecorded
from payment_schemas.ids import AccountId, NewAccountId, NewUserId, Printable, UserId
from payment_schemas.money import (
    DECIMALS,
    DEFAULT_CURRENCY,
    MAX_INTEGER_DIGITS,
    Currency,
)
from service_runtime.admin import add_export, admin_router, check_router, together
from service_runtime.clock import Clock
from service_runtime.credentials import Credentials
from service_runtime.http_unit import HttpUnitOfWork, Reply
from service_runtime.messages import Cause, Emit
from service_runtime.operators import Operators
from service_runtime.paging import START, Keyset, Page
from service_runtime.postgres import PostgresDatabase, PostgresTransaction
from service_runtime.proposals import Draft, Proposal, propose
from service_runtime.web import JsonResponse

UNFINISHED_AFTER_S = 60.0
MOST_CHARACTERS = 64
NUMBER_CHARACTERS = 8
"""A hyphen and up to seven digits: the suffix of a numbered account."""
ACCOUNTS = Keyset(["id"], [""])
END, LAST = datetime.max.replace(tzinfo=UTC), UUID(int=2**128 - 1)
BY_TIME = Keyset(["created_at", "payment_id"], [END, LAST], most=500)
MOST_NAMED = 100
OPEN = "ACCOUNTS_OPEN"
"""The act that needs two people; the ledger's trigger names it, too."""

Name = Annotated[str, Query(pattern=r"^[A-Za-z0-9._:\-]{0,64}$")]
User = Annotated[str, Query(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f]+$")]
Seconds = Annotated[float, Query(ge=0, le=10**9, allow_inf_nan=False)]


class AccountsToOpen(BaseModel):
    """An operator's request to open accounts."""

    model_config = ConfigDict(extra="forbid")

    name: NewAccountId
    owner: NewUserId
    currency: Currency = DEFAULT_CURRENCY
    balance_minor: int = Field(ge=0)
    count: int | None = Field(default=None, ge=1, le=1000)
    first: int = Field(default=1, ge=1, le=1_000_000)

    @field_validator("name")
    @classmethod
    def _not_a_system_account(cls, name: str) -> str:
        if name.startswith(INTERNAL):
            raise ValueError("must not be the name of an internal account")
        return name

    @field_validator("balance_minor")
    @classmethod
    def _within_amount_digits(cls, balance_minor: int, info: ValidationInfo) -> int:
        if balance_minor >= 10 ** (
            MAX_INTEGER_DIGITS + DECIMALS[info.data.get("currency", DEFAULT_CURRENCY)]
        ):
            raise ValueError(f"must have at most {MAX_INTEGER_DIGITS} digits before the point")
        return balance_minor

    @field_validator("count")
    @classmethod
    def _room_for_the_number(cls, count: int | None, info: ValidationInfo) -> int | None:
        longest = max(len(info.data.get("name", "")), len(info.data.get("owner", "")) - 64)
        if count is not None and longest + NUMBER_CHARACTERS > MOST_CHARACTERS:
            raise ValueError("needs a shorter name, because a number is added to it")
        return count


@dataclass(frozen=True, slots=True)
class Access:
    """Who may call the routes: the gateway by its secret, operators by their tokens."""

    machines: Credentials
    operators: Operators


class SearchFields(BaseModel):
    """What an operator searches payments for; times bound their creation."""

    user_id: Annotated[UserId, Field(pattern=r"^[^\x00-\x1f]+$")] | None = None
    account: AccountId | None = None
    status: Status | None = None
    settlement_status: PublicSettlementStatus | None = None
    amount_minor: int | None = Field(default=None, ge=1, lt=2**63)
    currency: Currency | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None


class KeysToLookUp(BaseModel):
    """Keys whose final responses are queried: `{"user_id": …, "idempotency_key": …}` each."""

    model_config = ConfigDict(extra="forbid")

    keys: list[dict[Literal["user_id", "idempotency_key"], Printable]] = Field(max_length=1000)


def encryption_routes(published: Callable[[], Awaitable[dict[str, Any]]]) -> APIRouter:
    """Return the route of the public keys that requests are encrypted under, for the gateway."""
    router = APIRouter()

    @router.get(KEYS_PATH)
    async def keys() -> Response:
        return JsonResponse(await published())

    return router


def routes(
    database: PostgresDatabase,
    requests: HttpUnitOfWork,
    access: Access,
    currencies: Collection[str],
    clock: Clock,
) -> APIRouter:
    """Return all routes: reads of the gateway, reads of operators, opening of accounts."""
    return together(
        _reads(database, access.machines),
        _admin(database, access.operators, clock),
        _checks(database, access.operators),
        _openings(requests, access.operators, currencies),
    )


def _reads(database: PostgresDatabase, credentials: Credentials) -> APIRouter:
    router = APIRouter(dependencies=[Depends(credentials.require("payment.read"))])

    @router.get("/payments/{transaction_id}")
    async def payment(transaction_id: str, user_id: User) -> Response:
        async with database.transaction() as tx:
            found = await PaymentQueries(tx).payment(user_id, transaction_id)
        if found is None:
            return JsonResponse({"error": f"Unknown payment: {transaction_id}"}, 404)
        # The sequence is for the gateway, which gives a client the rest.
        shown = status_changed(found)
        return JsonResponse({**shown.public_view(), "sequence": shown.sequence})

    return router


def _admin(database: PostgresDatabase, operators: Operators, clock: Clock) -> APIRouter:
    router = admin_router(operators)

    @router.get("/payments")
    async def payments(transaction_id: Name, user_id: User | None = None) -> Response:
        async with database.transaction() as tx:
            records = PaymentQueries(tx)
            found = await records.matching(transaction_id, user_id)
            ledger = PostgresLedger(tx)
            views = [
                {**operator_view(payment), "entries": await ledger.entries(payment.id)}
                for payment in found
            ]
        return JsonResponse({"payments": views})

    @router.get("/payments/search")
    async def found(
        page: Annotated[Page, Depends(BY_TIME)], wanted: Annotated[SearchFields, Query()]
    ) -> Response:
        """Return payments, newest first; a page looks at a bounded number of them."""
        at, name = page.after
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        before = min((at, name), (wanted.until, START) if wanted.until else (END, LAST))
        async with database.transaction() as tx:
            result = await search(tx, Wanted(**wanted.model_dump()), before, page.limit)
        last = result.last and {"created_at": result.last[0], "payment_id": result.last[1]}
        views = [operator_view(payment) for payment in result.payments]
        cursor = BY_TIME.cursor_of(last) if last else None
        searched_to = last and last["created_at"]
        return JsonResponse({"payments": views, "next": cursor, "searched_to": searched_to})

    @router.get("/payments/named")
    async def named(payment_id: Annotated[list[UUID], Query(max_length=MOST_NAMED)]) -> Response:
        """Return the payments with these ids; an unknown one is left out."""
        async with database.transaction() as tx:
            result = await PaymentQueries(tx).named(payment_id)
        return JsonResponse({"payments": [operator_view(payment) for payment in result]})

    @router.get("/payments/activity")
    async def now() -> Response:
        async with database.transaction() as tx:
            return JsonResponse(await activity(tx, clock.now()))

    @router.get("/accounts")
    async def accounts(page: Annotated[Page, Depends(ACCOUNTS)], prefix: Name = "") -> Response:
        async with database.transaction() as tx:
            found = await PaymentQueries(tx).accounts(prefix, page.after[0], page.limit)
        return JsonResponse(page.reply("accounts", found))

    return router


def _checks(database: PostgresDatabase, operators: Operators) -> APIRouter:
    router = check_router(operators)
    add_export(router, database, "payments", page_of_payments)

    @router.post("/answers")
    async def answers(query: KeysToLookUp) -> Response:
        async with database.transaction() as tx:
            return JsonResponse({"answers": await PaymentQueries(tx).answers(query.keys)})

    @router.get("/check")
    async def check(
        unfinished_after_s: Seconds = UNFINISHED_AFTER_S, since: AwareDatetime | None = None
    ) -> Response:
        async with database.transaction() as tx:
            await LedgerCheck(tx).advance(anew=since is None)
        async with database.transaction() as tx:
            return JsonResponse(await findings(tx, unfinished_after_s, since))

    return router


def _openings(
    requests: HttpUnitOfWork, operators: Operators, currencies: Collection[str]
) -> APIRouter:
    router = APIRouter(prefix="/admin")
    may_open = operators.require("accounts.open")

    @router.post("/accounts")
    async def open_accounts(
        order: AccountsToOpen, request: Request, actor: Annotated[str, Depends(may_open)]
    ) -> Response:
        if order.currency not in currencies:
            return _invalid("currency", "is not supported")
        opening = Opening(**order.model_dump())
        if any(holds_card_number(account.id) for account in opening.accounts()):
            return _invalid("name", "must not be a card number")
        return await requests.run(request, actor, partial(_take, opening, actor))

    return router


async def _take(opening: Opening, actor: str, tx: PostgresTransaction, cause: Cause) -> Reply:
    """Open accounts without a balance at once; propose an opening of money."""
    try:
        existing = await PaymentQueries(tx).existing(opening)
    except ForeignAccountError as foreign:
        return _foreign(foreign)
    if opening.balance_minor and existing < len(opening.accounts()):
        return await propose(tx, cause, Draft(OPEN, opening.name, asdict(opening)), actor)
    event = AuditRecorded(actor=actor, action="ACCOUNTS_OPENED", about=opening.name)
    done = await _open(opening, tx)
    return replace(done, events=[Emit(event, cause)])


async def open_approved(
    tx: PostgresTransaction, proposal: Proposal, _approver: str, _cause: Cause
) -> Reply:
    """Open the accounts of an approved proposal."""
    return await _open(Opening(**proposal.body), tx)


async def _open(opening: Opening, tx: PostgresTransaction) -> Reply:
    try:
        opened = await PaymentQueries(tx).open_accounts(opening)
    except ForeignAccountError as foreign:
        return _foreign(foreign)
    except LedgerFullError:
        return Reply(_fault("balance_minor", "exceeds what the ledger can store"), 409)
    return Reply({"opened": opened, "existing": len(opening.accounts()) - opened})


def _foreign(foreign: ForeignAccountError) -> Reply:
    return Reply(_fault("name", f"account {foreign} exists with another owner or currency"), 409)


def _invalid(field: str, details: str) -> Response:
    return JsonResponse(_fault(field, details), 400)


def _fault(field: str, details: str) -> dict[str, str]:
    return {"error": f"Invalid field: {field}", "details": details}


def operator_view(payment: Payment) -> dict[str, Any]:
    """Return the fields that an operator may see; never the tag of a code."""
    return {
        **status_changed(payment).public_view(),
        "payment_id": payment.id,
        "user_id": payment.user_id,
        "state": payment.status,
        "version": payment.version,
        "uetr": payment.uetr,
        "risk_score": payment.risk_score,
        "risk_level": payment.risk_level,
        "challenge_number": payment.challenge_number,
        "trace_id": payment.traceparent.split("-")[1] if payment.traceparent else None,
        "deadline": payment.due_at,
        "settlement_version": payment.settlement_version,
    }
