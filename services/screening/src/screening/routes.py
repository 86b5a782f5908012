"""Screen parties: the interface that the OFAC mock has, with names and the entry that matched."""

import asyncio
from dataclasses import asdict
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from payment_schemas.sealed import Personal, Sealed
from screening.clients import Current, Lists
from screening.domain.analysis import Party
from screening.domain.results import Outcome, body_of, by_account, normalised
from service_runtime.credentials import Credentials
from service_runtime.errors import Rejected
from service_runtime.operators import Operators
from service_runtime.sealing import Sealer
from service_runtime.web import JsonResponse

QUERY = "screenings.query"
"""The scope of risk, by its secret."""
MOST_PARTIES = 100
"""Source: the OFAC mock's limit, which risk keeps to."""
PARTIES_AT_ONCE = 8
"""Between two pauses for other requests: some 10 ms of listed names."""

Text = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class PartyBody(BaseModel):
    """A party: by account, by name, or by both."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    id: Text
    """The caller's id of this party; the result has it, too."""
    account_id: Text | None = None
    name: Annotated[Personal, Field(min_length=1, max_length=200)] | None = None
    sealed_name: Annotated[Sealed, Field(min_length=1, max_length=2000)] | None = None
    """The name as the gateway has sealed it, for `payment_id`."""
    payment_id: UUID | None = None
    birth_date: Annotated[str, StringConstraints(pattern=r"^\d{4}(-\d{2}){0,2}$")] | None = None
    country: Annotated[str, StringConstraints(min_length=2, max_length=100)] | None = None

    @model_validator(mode="after")
    def _is_somebody(self) -> "PartyBody":
        if self.name is not None and self.sealed_name is not None:
            raise ValueError("must have name or sealed_name, not both")
        if self.account_id is None and self.name is None and self.sealed_name is None:
            raise ValueError("must have account_id, name or sealed_name")
        if (self.sealed_name is None) != (self.payment_id is None):
            raise ValueError("must have sealed_name and payment_id, or neither")
        return self


class PartiesBody(BaseModel):
    """Several parties."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    parties: Annotated[list[PartyBody], Field(min_length=1, max_length=MOST_PARTIES)]


def routes(
    lists: Lists, sealer: Sealer, credentials: Credentials, operators: Operators
) -> APIRouter:
    """Return the routes: screenings for machines with `screenings.query`, entries for operators."""
    router = APIRouter()
    machine = [Depends(credentials.require(QUERY))]

    @router.post("/screenings", dependencies=machine)
    async def screen_one(body: PartyBody) -> Response:
        """Screen one party."""
        current = lists.current
        result = body_of(_screened(current, sealer, body), body.id)
        return JsonResponse({"list_version": current.version, **result})

    @router.post("/screenings:batch", dependencies=machine)
    async def screen_many(body: PartiesBody) -> Response:
        """Screen up to a hundred parties; the results are in the order of the parties."""
        current = lists.current
        results = []
        for number, party in enumerate(body.parties, start=1):
            results.append(body_of(_screened(current, sealer, party), party.id))
            if number % PARTIES_AT_ONCE == 0:
                await asyncio.sleep(0)
        return JsonResponse({"list_version": current.version, "results": results})

    _add_lists(router, lists, operators)
    return router


def _screened(current: Current, sealer: Sealer, body: PartyBody) -> Outcome:
    """Screen a party. Raises HTTPException 400 for a name that cannot be opened."""
    if body.account_id is not None:
        found = by_account(current.screener, body.account_id)
        if found.entry is not None:
            return found
    name = _name(sealer, body)
    if name is None:
        return Outcome(by=("account",))
    party = Party(normalised(name.reveal()), birth_date=body.birth_date, country=body.country)
    return current.screen(party, by_account=body.account_id is not None)


def _name(sealer: Sealer, body: PartyBody) -> Personal | None:
    if body.sealed_name is None or body.payment_id is None:
        return body.name
    try:
        return sealer.open(body.sealed_name, body.payment_id)
    except Rejected:
        details = {"error": "Invalid field: sealed_name", "details": "cannot be opened"}
        raise HTTPException(400, details) from None


def _add_lists(router: APIRouter, lists: Lists, operators: Operators) -> None:
    reader = [Depends(operators.require("ops.read"))]

    @router.get("/admin/lists", dependencies=reader)
    async def listing() -> Any:
        """Return the lists that are searched now."""
        return {
            "lists": [
                {"list": one.name, "version": one.version, "entries": len(one.entries)}
                for one in lists.current.screener.lists
            ]
        }

    @router.get("/admin/lists/{list_name}/entries/{entry_id}", dependencies=reader)
    async def entry(list_name: str, entry_id: str) -> Any:
        """Return what a list says of an entry."""
        found = lists.current.screener.entry(list_name, entry_id)
        if found is None:
            raise HTTPException(404, f"Unknown entry: {list_name} {entry_id}")
        return asdict(found)
