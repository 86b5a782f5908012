"""What operators ask of otp."""

from typing import Annotated, Any, Protocol
from uuid import UUID

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from otp.domain import DAY, User
from otp.store import PostgresChallenges
from payment_schemas.ids import UserId
from service_runtime.clock import Clock
from service_runtime.paging import BY_PAYMENT, Page
from service_runtime.ports import Database
from service_runtime.web import Credentials, JsonResponse

MOST_SHOWN = 1000


def routes(database: Database, credentials: Credentials, clock: Clock) -> APIRouter:
    """Return the routes under `/admin`."""
    router = APIRouter(prefix="/admin", dependencies=[Depends(credentials.require("ops.read"))])

    @router.get("/challenges")
    async def challenges(payment_id: UUID) -> dict[str, Any]:
        """Return a payment's challenges: how often each was tried, and what became of it."""
        async with database.transaction() as tx:
            return {"challenges": await PostgresChallenges(tx).of_payment(payment_id)}

    @router.get("/challenges/export")
    async def export(page: Annotated[Page, Depends(BY_PAYMENT)]) -> dict[str, Any]:
        """Return payments by id, with what was asked for and accepted; for checks."""
        async with database.transaction() as tx:
            found = await PostgresChallenges(tx).export(page.after[0], page.limit)
        return page.reply("challenges", found)

    @router.get("/check")
    async def check() -> dict[str, Any]:
        """Return violated invariants and the number of dead letters."""
        async with database.transaction() as tx:
            return await PostgresChallenges(tx).check(clock.now())

    return router


class ToUnlock(BaseModel):
    """Whose codes are to be unlocked, and who says so."""

    model_config = ConfigDict(extra="forbid")

    user_id: UserId
    actor: str = Field(min_length=1, max_length=128)


class Unlocks(Protocol):
    """Whoever unlocks users."""

    async def unlock(self, user_id: str, actor: str) -> User | None:
        """Return the user as it was locked, or None where nothing was."""
        ...


def user_routes(
    database: Database, credentials: Credentials, clock: Clock, unlocks: Unlocks
) -> APIRouter:
    """Return the routes about one user's codes: to read with `ops.read`, to unlock `ops.write`."""
    router = APIRouter(prefix="/admin")

    @router.get("/codes", dependencies=[Depends(credentials.require("ops.read"))])
    async def codes(user_id: UserId) -> Response:
        """Return how a user stands: wrong codes in a row, a lock, challenges of the last day."""
        async with database.transaction() as tx:
            challenges = PostgresChallenges(tx)
            user = await challenges.find_user(user_id) or User(user_id)
            users = {user_id: user}
            users = await challenges.with_issued(users, clock.now() - DAY, MOST_SHOWN)
        return JsonResponse(_shown(users[user_id]))

    @router.post("/codes/unlock", dependencies=[Depends(credentials.require("ops.write"))])
    async def unlock(wanted: ToUnlock) -> Response:
        """Unlock a user's codes; the audit log and the user are told."""
        user = await unlocks.unlock(wanted.user_id, wanted.actor)
        if user is None:
            details = f"the codes of {wanted.user_id} are not locked"
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
