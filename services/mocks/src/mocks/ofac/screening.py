"""Screening of parties against a sanctions list. Pure."""

from typing import Annotated, TypedDict

from pydantic import BaseModel, Field, StringConstraints, model_validator

from mocks.bodies import MAX_ITEMS, Body

CERTAIN = 100

Text = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class SanctionsList(BaseModel):
    """The content of a list: accounts, and names in lower case with single spaces."""

    accounts: frozenset[str]
    names: frozenset[str]


class Party(Body):
    """A party to screen, by account or by name."""

    id: Text
    """The caller's id of this request; the result has it, too."""
    account_id: Text | None = None
    name: Text | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "Party":
        if (self.account_id is None) == (self.name is None):
            raise ValueError("must have account_id or name, not both")
        return self


class Parties(Body):
    """Several parties."""

    parties: Annotated[list[Party], Field(min_length=1, max_length=MAX_ITEMS)]


class Result(TypedDict):
    """The result for one party."""

    id: str
    hit: bool
    match_score: int
    """0 no similarity … 100 certain."""


def screen(party: Party, sanctions: SanctionsList) -> Result:
    """Return the result of a party."""
    listed = _has_account(sanctions, party.account_id) or _has_name(sanctions, party.name)
    return {"id": party.id, "hit": listed, "match_score": CERTAIN if listed else 0}


def _has_account(sanctions: SanctionsList, account_id: str | None) -> bool:
    # Payees have their bank's prefix: `north-payee-sanctioned` is the same person.
    return any(f"-{account_id}".endswith(f"-{account}") for account in sanctions.accounts)


def _has_name(sanctions: SanctionsList, name: str | None) -> bool:
    return name is not None and " ".join(name.casefold().split()) in sanctions.names
