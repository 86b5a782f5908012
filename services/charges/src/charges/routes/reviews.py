"""Reviews: without a risk score, a person looks at each charge, before or after its capture."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from charges.domain import acts
from charges.domain.acts import Refusal
from charges.domain.answers import shown
from charges.domain.ids import transaction_id as shown_id
from charges.routes.api import Api, known_id, refused, unknown
from charges.routes.bodies import Review
from charges.store import Charges
from charges.store.changes import emit
from payment_schemas.events.record import AuditRecorded
from service_runtime.http_unit import Reply
from service_runtime.messages import Cause, Emit
from service_runtime.operators import Operators
from service_runtime.paging import Keyset, Page
from service_runtime.postgres import PostgresTransaction

FIRST = (datetime(2000, 1, 1, tzinfo=UTC), UUID(int=0))
BY_AGE = Keyset(["created_at", "id"], FIRST, 100)


def add_reviews(router: APIRouter, api: Api, operators: Operators) -> None:
    """Add the routes: `ops.read` lists, `cases.approve` decides."""
    may_read = [Depends(operators.require("ops.read", is_read=True))]
    Approver = Annotated[str, Depends(operators.require("cases.approve"))]  # noqa: N806 - a type

    @router.get("/admin/reviews", dependencies=may_read)
    async def listing(page: Annotated[Page, Depends(BY_AGE)]) -> Any:
        """Return charges that wait for a review, the oldest first."""
        async with api.database.transaction() as tx:
            rows = await Charges(tx).in_review(tuple(page.after), page.limit)
        return page.reply(
            "reviews", [{"transactionId": shown_id(row["id"]), **row} for row in rows]
        )

    @router.post("/admin/reviews/{transaction_id}")
    async def decide(
        request: Request, transaction_id: str, actor: Approver, fields: Review
    ) -> Response:
        """Approve or reject; a held charge is captured or voided by it."""
        charge_id = known_id(transaction_id)

        async def act(tx: PostgresTransaction, cause: Cause) -> Reply:
            return await _decided(api, tx, charge_id, (actor, fields), cause)

        return await api.run(request, actor, act)


async def _decided(
    api: Api, tx: PostgresTransaction, charge_id: UUID, by: tuple[str, Review], cause: Cause
) -> Reply:
    actor, fields = by
    charge = (await Charges(tx).lock([charge_id])).get(charge_id)
    if charge is None:
        return unknown(charge_id)
    after = acts.review(charge, api.clock.now(), is_approved=fields.approve)
    if isinstance(after, Refusal):
        return refused(after, charge)
    await Charges(tx).save([after])
    audit = AuditRecorded(
        actor=actor,
        action="CHARGE_REVIEWED",
        about=shown_id(charge_id),
        metadata={"review": after.review, "note": fields.note},
    )
    body = {"success": True, "data": shown(after, api.clock.now())}
    return Reply(body, events=[emit(after, cause), Emit(audit, cause)])
