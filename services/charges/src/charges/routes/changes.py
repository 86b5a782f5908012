"""What an owner does with a payment: refund, cancel, capture."""

from collections.abc import Awaitable, Callable
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response

from charges.domain import acts
from charges.domain.acts import Refusal
from charges.domain.answers import shown
from charges.domain.charge import Charge
from charges.domain.ids import refund_id, transaction_id
from charges.domain.postings import refund_hold
from charges.domain.refund import Refund
from charges.routes.api import PATH, Api, known_id, refused, unknown
from charges.routes.bodies import REFUSALS, Envelope, NewRefund
from charges.store import Charges, Refunds
from charges.store.changes import emit
from payment_schemas.money import Money
from service_runtime.edge import Caller
from service_runtime.http_unit import Act, Reply
from service_runtime.messages import Cause
from service_runtime.postgres import PostgresTransaction

OnCharge = Callable[[PostgresTransaction, Charge, Cause], Awaitable[Reply]]


def add_changes(router: APIRouter, api: Api) -> None:
    """Add the changes of a payment."""
    Writer = Annotated[Caller, api.writer()]  # noqa: N806 - a type
    one = PATH + "/{transaction_id}"

    @router.post(f"{one}/refunds", status_code=202, response_model=Envelope, responses=REFUSALS)
    async def refund(
        request: Request, caller: Writer, transaction_id: str, fields: NewRefund
    ) -> Response:
        """Refund a payment, whole or in part; the amount is reserved at once."""

        async def act(tx: PostgresTransaction, charge: Charge, cause: Cause) -> Reply:
            return await refund_once(api, tx, charge, fields.amount, cause)

        response = await api.run(request, caller.user_id, on_charge(caller, transaction_id, act))
        api.wake_refunds()
        return response

    @router.post(f"{one}/cancel", response_model=Envelope, responses=REFUSALS)
    async def cancel(request: Request, caller: Writer, transaction_id: str) -> Response:
        """Cancel a payment that is not captured; 409 where it is: refund it."""
        act = changed_by(lambda charge: acts.cancel(charge, api.clock.now()), api)
        return await api.run(request, caller.user_id, on_charge(caller, transaction_id, act))

    @router.post(f"{one}/capture", response_model=Envelope, responses=REFUSALS)
    async def capture(request: Request, caller: Writer, transaction_id: str) -> Response:
        """Capture a payment that is authorized."""
        act = changed_by(lambda charge: acts.capture(charge, api.clock.now()), api)
        return await api.run(request, caller.user_id, on_charge(caller, transaction_id, act))


def on_charge(caller: Caller, text: str, act: OnCharge) -> Act:
    """Return the act that locks the caller's charge and changes it."""
    charge_id: UUID = known_id(text)

    async def run(tx: PostgresTransaction, cause: Cause) -> Reply:
        charge = await Charges(tx).locked(charge_id, caller.user_id)
        return unknown(charge_id) if charge is None else await act(tx, charge, cause)

    return run


def changed_by(change: Callable[[Charge], Charge | Refusal], api: Api) -> OnCharge:
    """Return what saves a change of a locked charge, and answers with the charge."""

    async def act(tx: PostgresTransaction, charge: Charge, cause: Cause) -> Reply:
        after = change(charge)
        if isinstance(after, Refusal):
            return refused(after, charge)
        await Charges(tx).save([after])
        api.waiting.note(tx, [charge.id])
        events = [emit(after, cause)] if after.version != charge.version else []
        return Reply({"success": True, "data": shown(after, api.clock.now())}, events=events)

    return act


async def refund_once(
    api: Api, tx: PostgresTransaction, charge: Charge, amount_minor: int | None, cause: Cause
) -> Reply:
    """Reserve a refund on a locked charge, and have it sent."""
    found = acts.refund(charge, amount_minor)
    if isinstance(found, Refusal):
        return refused(found, charge)
    refund = Refund(
        id=cause.id,
        charge_id=charge.id,
        user_id=charge.user_id,
        money=Money(found.amount_minor, charge.money.currency),
        provider=charge.provider or "",
        charge_reference=charge.reference,
        provider_reference=charge.provider_reference or "",
        due_at=api.clock.now(),
    )
    await Charges(tx).save([found.charge])
    await Refunds(tx).add(refund, cause.trace)
    await Charges(tx).post([refund_hold(refund)])
    data = {
        "refundId": refund_id(refund.id),
        "transactionId": transaction_id(charge.id),
        "amount": found.amount_minor,
        "currency": charge.money.currency,
        "status": "PROCESSING",
    }
    return Reply({"success": True, "data": data}, 202, [emit(found.charge, cause)])
