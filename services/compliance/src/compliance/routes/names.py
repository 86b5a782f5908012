"""The payers' names for risk, which passes them to screening and cannot read them."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from pydantic import Field

from compliance.routes.bodies import MOST_PAYMENTS, Body
from compliance.store.names import PayerNames
from payment_schemas.ids import UserId
from service_runtime.credentials import Credentials
from service_runtime.web import JsonResponse


class PayerBody(Body):
    """A payment, and who pays."""

    payment_id: UUID
    user_id: UserId


class PayersBody(Body):
    """Payments whose payers' names risk asks for; each once."""

    payments: Annotated[list[PayerBody], Field(min_length=1, max_length=MOST_PAYMENTS)]


def add_names(router: APIRouter, names: PayerNames, machines: Credentials) -> None:
    """Add the names of payers, which risk asks for by its secret."""
    machine = Depends(machines.require("compliance.check"))

    @router.post("/names:batch", dependencies=[machine])
    async def batch(body: PayersBody) -> Response:
        """Return the names of payers, each sealed for its payment; null: none is known."""
        found = await names.sealed_for({one.payment_id: one.user_id for one in body.payments})
        results = [
            {"payment_id": payment, "sealed_name": name and name.reveal()}
            for payment, name in found.items()
        ]
        return JsonResponse({"results": results})
