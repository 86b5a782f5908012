"""Operator routes of otp."""

from typing import Annotated, Any, Protocol
from uuid import UUID

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict

from otp.domain import DAY, User
from otp.store import PostgresChallenges, queries
from payment_schemas.ids import UserId
from service_runtime.admin import (
    Findings,
    add_check,
    add_export,
    admin_router,
    check_router,
    together,
)
from service_runtime.clock import Clock
from service_runtime.operators import Operators
from service_runtime.postgres import PostgresDatabase, PostgresTransaction
from service_runtime.web import JsonResponse

MOST_SHOWN = 1000


def routes(database: PostgresDatabase, operators: Operators, clock: Clock) -> APIRouter:
    """Return the routes under `/admin`."""
    router, checks = admin_router(operators), check_router(operators)

    @router.get("/challenges")
    async def challenges(payment_id: UUID) -> dict[str, Any]:
        async with database.transaction() as tx:
            return {"challenges": await queries.of_payment(tx, payment_id)}

    async def check(tx: PostgresTransaction, _since: object) -> Findings:
        return await queries.check(tx, clock.now())

    add_export(checks, database, "challenges", queries.export)
    add_check(checks, database, check)
    return together(router, checks)


class ToUnlock(BaseModel):
    """The user whose codes an operator unlocks."""

    model_config = ConfigDict(extra="forbid")

    user_id: UserId


class Unlocks(Protocol):
    """Port to the unlocking of users."""

    async def unlock(self, user_id: str, actor: str) -> User | None:
        """Unlock a user; return its state before, or None if not locked."""
        ...


def user_routes(
    database: PostgresDatabase, operators: Operators, clock: Clock, unlocks: Unlocks
) -> APIRouter:
    """Return the routes of a user's codes: read with `ops.read`, unlock with `ops.write`."""
    router = APIRouter(prefix="/admin")

    @router.get("/codes", dependencies=[Depends(operators.require("ops.read", is_read=True))])
    async def codes(user_id: UserId) -> Response:
        """Return a user's wrong codes in a row, lock, and challenges of the last day."""
        async with database.transaction() as tx:
            challenges = PostgresChallenges(tx)
            user = await challenges.find_user(user_id) or User(user_id)
            users = {user_id: user}
            users = await challenges.with_issued(users, clock.now() - DAY, MOST_SHOWN)
        return JsonResponse(_shown(users[user_id]))

    may_write = operators.require("ops.write")

    @router.post("/codes/unlock")
    async def unlock(order: ToUnlock, actor: Annotated[str, Depends(may_write)]) -> Response:
        """Unlock a user's codes; the audit log and the user are notified."""
        user = await unlocks.unlock(order.user_id, actor)
        if user is None:
            details = f"the codes of {order.user_id} are not locked"
            return JsonResponse({"error": "Not unlocked", "details": details}, 409)
        return JsonResponse({"user_id": user.user_id, "wrong_in_a_row": user.wrong_in_a_row})

    return router


def _shown(user: User) -> dict[str, Any]:
    return {
        "user_id": user.user_id,
        "wrong_in_a_row": user.wrong_in_a_row,
        "locked_at": user.lock and user.lock.at,
        "locked_on": user.lock and user.lock.payment_id,
        "challenges": user.issued,
    }
