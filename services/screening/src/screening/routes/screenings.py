"""Screen parties: the interface that the OFAC mock has, with names and the entry that matched."""

from collections.abc import Mapping, Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from payment_schemas.sealed import Personal, Sealed
from screening.clients import Current, Subject, screen
from screening.domain.analysis import Party
from screening.domain.results import Outcome, body_of, normalised
from screening.routes.api import Api
from screening.store import Exceptions
from service_runtime.credentials import Credentials
from service_runtime.errors import Rejected
from service_runtime.sealing import Sealer
from service_runtime.web import JsonResponse

QUERY = "screenings.query"
"""The scope of risk, by its secret."""
MOST_PARTIES = 100
"""Source: the OFAC mock's limit, which risk keeps to."""
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


def add_screenings(router: APIRouter, api: Api, machines: Credentials) -> None:
    """Add the screenings of one party and of many."""
    machine = [Depends(machines.require(QUERY))]

    @router.post("/screenings", dependencies=machine)
    async def screen_one(body: PartyBody) -> Response:
        """Screen one party."""
        current = api.lists.current
        (outcome,) = await _screen(api, current, [body])
        return JsonResponse({"list_version": current.version, **body_of(outcome, body.id)})

    @router.post("/screenings:batch", dependencies=machine)
    async def screen_many(body: PartiesBody) -> Response:
        """Screen up to a hundred parties; the results are in the order of the parties."""
        current = api.lists.current
        outcomes = await _screen(api, current, body.parties)
        results = [
            body_of(outcome, party.id)
            for outcome, party in zip(outcomes, body.parties, strict=True)
        ]
        return JsonResponse({"list_version": current.version, "results": results})


async def _screen(api: Api, current: Current, parties: Sequence[PartyBody]) -> list[Outcome]:
    """Screen parties. Raises HTTPException 400 for a name that cannot be opened."""

    async def excepted(accounts: set[str]) -> Mapping[str, frozenset[str]]:
        async with api.database.transaction() as tx:
            return await Exceptions(tx).of(accounts)

    return await screen(current, [_subject(api.sealer, one) for one in parties], excepted)


def _subject(sealer: Sealer, body: PartyBody) -> Subject:
    name = _name(sealer, body)
    if name is None:
        return Subject(body.account_id)
    party = Party(normalised(name.reveal()), birth_date=body.birth_date, country=body.country)
    return Subject(body.account_id, party)


def _name(sealer: Sealer, body: PartyBody) -> Personal | None:
    if body.sealed_name is None or body.payment_id is None:
        return body.name
    try:
        return sealer.open(body.sealed_name, body.payment_id)
    except Rejected:
        details = {"error": "Invalid field: sealed_name", "details": "cannot be opened"}
        raise HTTPException(400, details) from None
