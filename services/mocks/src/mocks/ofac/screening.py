"""Who is on the list. Pure: the same party gives the same result."""

from typing import Annotated, TypedDict

from pydantic import Field, StringConstraints, model_validator

from mocks.bodies import MAX_ITEMS, Body

LIST_VERSION = "2026-11-01"
CERTAIN = 100
SANCTIONED_ACCOUNT = "payee-sanctioned"
SANCTIONED_NAMES = frozenset({"sanctioned person", "sanctioned trading company"})

Text = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Party(Body):
    """Someone to be screened, by account or by name."""

    id: Text
    """The caller's own name for this question; comes back with the result."""
    account_id: Text | None = None
    name: Text | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "Party":
        if (self.account_id is None) == (self.name is None):
            raise ValueError("must have account_id or name, not both")
        return self


class Parties(Body):
    """Several to be screened at once."""

    parties: Annotated[list[Party], Field(min_length=1, max_length=MAX_ITEMS)]


class Result(TypedDict):
    """What the list says of one party."""

    id: str
    hit: bool
    match_score: int
    """0 no likeness … 100 certain."""


def screen(party: Party) -> Result:
    """Look a party up."""
    listed = _account_listed(party.account_id) or _name_listed(party.name)
    return {"id": party.id, "hit": listed, "match_score": CERTAIN if listed else 0}


def _account_listed(account_id: str | None) -> bool:
    # A bank's prefix stands in front of its payees: `north-payee-sanctioned` is the same person.
    return account_id is not None and f"-{account_id}".endswith(f"-{SANCTIONED_ACCOUNT}")


def _name_listed(name: str | None) -> bool:
    return name is not None and " ".join(name.casefold().split()) in SANCTIONED_NAMES
