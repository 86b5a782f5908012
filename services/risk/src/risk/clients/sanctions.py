"""The client of the sanctions screening: the service screening, or a provider outside."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Protocol

from pydantic import Field

from payment_schemas.events.risk import ScreenedBy
from payment_schemas.ids import PaymentId
from payment_schemas.sealed import Sealed
from risk.clients.calls import Reply, consistent, in_chunks, parsed, post, valid
from service_runtime.http_client import HttpClient


@dataclass(frozen=True, slots=True)
class Match:
    """The screening of one account."""

    hit: bool
    match_score: int
    list_version: str
    by: tuple[ScreenedBy, ...] = ("account",)
    list_name: str | None = None
    entry: str | None = None
    excepted: tuple[str, ...] = ()
    """Entries (`list:id`) that the party is not, by an exception at the screening."""


@dataclass(frozen=True, slots=True)
class NamedParty:
    """A payee or payer whose name is known; screening alone can read the name."""

    account: str
    sealed_name: Sealed
    payment_id: PaymentId

    @property
    def id(self) -> str:
        """The id of the query: names differ from payment to payment."""
        return str(self.payment_id)


class SanctionsList(Protocol):
    """The port to the sanctions screening."""

    async def screen(self, accounts: Collection[str]) -> Mapping[str, Match]:
        """Return matches by account; an account without a valid result is left out."""
        ...

    async def screen_names(self, parties: Collection[NamedParty]) -> Mapping[str, Match]:
        """Return matches by id, of account and name; one without a valid result is left out."""
        ...


class _Entry(Reply):
    list: Annotated[str, Field(min_length=1, max_length=20)]
    version: Annotated[str, Field(min_length=1, max_length=64)]
    id: Annotated[str, Field(min_length=1, max_length=64)]


class _Excepted(Reply):
    list: Annotated[str, Field(min_length=1, max_length=20)]
    id: Annotated[str, Field(min_length=1, max_length=64)]


class _Screened(Reply):
    id: str
    hit: bool
    match_score: Annotated[int, Field(ge=0, le=100)]
    screened_by: tuple[ScreenedBy, ...] = Field(default=("account",), strict=False)
    """A provider outside does not say it: it was sent an account alone."""
    entry: _Entry | None = None
    excepted: tuple[_Excepted, ...] = Field(default=(), strict=False)


class _ScreenedMany(Reply):
    list_version: Annotated[str, Field(min_length=1, max_length=64)]
    results: list[Any]


class Ofac:
    """The sanctions screening service."""

    def __init__(self, client: HttpClient) -> None:
        self._client = client

    async def screen(self, accounts: Collection[str]) -> Mapping[str, Match]:
        return await in_chunks(self._query, accounts)

    async def screen_names(self, parties: Collection[NamedParty]) -> Mapping[str, Match]:
        bodies = {one.id: _body_of(one) for one in parties}

        async def query(ids: Sequence[str]) -> dict[str, Match]:
            found = await self._screened(ids, [bodies[name] for name in ids])
            # A result without the name must not pass for one with it.
            return {name: match for name, match in found.items() if _is_of_name(match)}

        return await in_chunks(query, bodies)

    async def _query(self, accounts: Sequence[str]) -> dict[str, Match]:
        return await self._screened(
            accounts, [{"id": account, "account_id": account} for account in accounts]
        )

    async def _screened(self, ids: Sequence[str], parties: Sequence[Any]) -> dict[str, Match]:
        body = await post(self._client, "/screenings:batch", {"parties": parties})
        response = parsed(_ScreenedMany, body)
        screened = valid(_Screened, response.results)
        return consistent(ids, [(one.id, _match(one, response.list_version)) for one in screened])


def _body_of(party: NamedParty) -> dict[str, str]:
    return {
        "id": party.id,
        "account_id": party.account,
        "sealed_name": party.sealed_name.reveal(),
        "payment_id": str(party.payment_id),
    }


def _is_of_name(match: Match) -> bool:
    return "name" in match.by or match.hit


def _match(one: _Screened, version: str) -> Match:
    entry = one.entry
    excepted = tuple(f"{aside.list}:{aside.id}" for aside in one.excepted)
    match = Match(one.hit, one.match_score, version, one.screened_by, excepted=excepted)
    if entry is None:
        return match
    return replace(match, list_version=entry.version, list_name=entry.list, entry=entry.id)


@dataclass
class MemorySanctionsList:
    """The memory twin of the sanctions list; `silent` accounts have no result."""

    listed: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    queries: list[Collection[str]] = field(default_factory=list)
    listed_names: set[str] = field(default_factory=set)
    """Sealed names, as they are sent."""

    async def screen_names(self, parties: Collection[NamedParty]) -> Mapping[str, Match]:
        return {
            one.id: self._named(one.sealed_name.reveal() in self.listed_names)
            for one in parties
            if one.account not in self.silent
        }

    @staticmethod
    def _named(hit: bool) -> Match:  # noqa: FBT001 - the result's own field
        entry = ("MEMORY", "1") if hit else (None, None)
        return Match(hit, 100 * hit, "memory-1", ("account", "name"), *entry)

    async def screen(self, accounts: Collection[str]) -> Mapping[str, Match]:
        self.queries.append(accounts)
        return {
            account: Match(account in self.listed, 100 * (account in self.listed), "memory-1")
            for account in accounts
            if account not in self.silent
        }
