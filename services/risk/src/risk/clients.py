"""The two look-ups: sanctions screening (OFAC) and identity (KYC), in parallel and in batches.

A missing, malformed or contradictory result fails the look-up of its record only.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Protocol, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from payment_schemas.events.risk import AssessmentRequested, KycStatus, Party, Screening
from risk.domain import AssessmentRequest, Evidence, is_over
from service_runtime.errors import Unavailable
from service_runtime.http_client import HttpClient
from service_runtime.logs import Log
from service_runtime.messages import Batch, Due, Received

CHUNK = 100
"""The limit of both services for one call."""
CHUNK_DEADLINE_S = 8.0
"""Of a chunk with all its halves; a slice of retries must fit its lease."""
OK = 200
REFUSED_FOR_ITS_CONTENT = frozenset({400, 413, 422})

A = TypeVar("A")
M = TypeVar("M", bound=BaseModel)
Query = Callable[[Sequence[str]], Awaitable[dict[str, A]]]
_log = Log("look_ups")


class RefusedError(Exception):
    """The service refused the content of a chunk; its halves may be accepted."""


@dataclass(frozen=True, slots=True)
class Match:
    """The screening of one account."""

    hit: bool
    match_score: int
    list_version: str


class SanctionsList(Protocol):
    """The port to the sanctions screening."""

    async def screen(self, accounts: Collection[str]) -> Mapping[str, Match]:
        """Return matches by account; an account without a valid result is left out."""
        ...


class Identities(Protocol):
    """The port to the state of customers' documents."""

    async def statuses(self, user_ids: Collection[str]) -> Mapping[str, KycStatus]:
        """Return statuses by user; a user without a valid result is left out."""
        ...


class _Response(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


class _Screened(_Response):
    id: str
    hit: bool
    match_score: Annotated[int, Field(ge=0, le=100)]


class _ScreenedMany(_Response):
    list_version: Annotated[str, Field(min_length=1, max_length=64)]
    results: list[Any]


class _Identified(_Response):
    user_id: str
    status: KycStatus


class _IdentifiedMany(_Response):
    results: list[Any]


class Ofac:
    """The sanctions screening service."""

    def __init__(self, client: HttpClient) -> None:
        self._client = client

    async def screen(self, accounts: Collection[str]) -> Mapping[str, Match]:
        return await _in_chunks(self._query, accounts)

    async def _query(self, accounts: Sequence[str]) -> dict[str, Match]:
        parties = [{"id": account, "account_id": account} for account in accounts]
        body = await _post(self._client, "/screenings:batch", {"parties": parties})
        response = _parsed(_ScreenedMany, body)
        screened = _valid(_Screened, response.results)
        return _consistent(
            accounts,
            [(one.id, Match(one.hit, one.match_score, response.list_version)) for one in screened],
        )


class Kyc:
    """The identity service."""

    def __init__(self, client: HttpClient) -> None:
        self._client = client

    async def statuses(self, user_ids: Collection[str]) -> Mapping[str, KycStatus]:
        return await _in_chunks(self._query, user_ids)

    async def _query(self, user_ids: Sequence[str]) -> dict[str, KycStatus]:
        body = await _post(self._client, "/customers:batch", {"user_ids": user_ids})
        identified = _valid(_Identified, _parsed(_IdentifiedMany, body).results)
        return _consistent(user_ids, [(one.user_id, one.status) for one in identified])


class LookUps:
    """Gathers the evidence of a batch, before the transaction."""

    def __init__(self, sanctions: SanctionsList, identities: Identities) -> None:
        self._sanctions = sanctions
        self._identities = identities

    async def for_requests(
        self, batch: Batch[Received[AssessmentRequested]]
    ) -> Mapping[UUID, Evidence]:
        """Look up the requests that have just arrived and have not expired."""
        return await self._gather(
            {item.cause.id: item.event for item in batch if batch.now < item.event.expires_at}
        )

    async def for_due(self, batch: Batch[Due[AssessmentRequest]]) -> Mapping[UUID, Evidence]:
        """Look up the waiting requests again, except expired ones."""
        return await self._gather(
            {item.cause.id: item.row for item in batch if not is_over(item.row, batch.now)}
        )

    async def _gather(
        self, requests: Mapping[UUID, AssessmentRequested | AssessmentRequest]
    ) -> dict[UUID, Evidence]:
        accounts = {
            account for one in requests.values() for account in (one.from_account, one.to_account)
        }
        matches, statuses = await asyncio.gather(
            self._sanctions.screen(accounts),
            self._identities.statuses({one.user_id for one in requests.values()}),
        )
        return {
            name: _evidence(one, matches, statuses[one.user_id])
            for name, one in requests.items()
            if one.user_id in statuses and {one.from_account, one.to_account} <= matches.keys()
        }


def _evidence(
    request: AssessmentRequested | AssessmentRequest, matches: Mapping[str, Match], kyc: KycStatus
) -> Evidence:
    debtor, creditor = matches[request.from_account], matches[request.to_account]
    return Evidence((_screening("debtor", debtor), _screening("creditor", creditor)), kyc)


def _screening(party: Party, match: Match) -> Screening:
    return Screening(
        party=party,
        hit=match.hit,
        list_version=match.list_version,
        match_score=match.match_score,
    )


async def _in_chunks(query: Query[A], names: Collection[str]) -> dict[str, A]:
    """Query all names in concurrent chunks; a failed chunk has no results."""
    ordered = sorted(names)
    chunks = [ordered[start : start + CHUNK] for start in range(0, len(ordered), CHUNK)]
    found = await asyncio.gather(*(_query_chunk(query, chunk) for chunk in chunks))
    return {name: result for chunk in found for name, result in chunk.items()}


async def _query_chunk(query: Query[A], chunk: Sequence[str]) -> dict[str, A]:
    try:
        async with asyncio.timeout(CHUNK_DEADLINE_S):
            return await _bisect(query, chunk)
    except TimeoutError:
        _log.warning("look_up_failed", reason="chunk took too long", count=len(chunk))
        return {}


async def _bisect(query: Query[A], chunk: Sequence[str]) -> dict[str, A]:
    """Query a chunk; if its content is refused, query each half."""
    try:
        return await query(chunk)
    except Unavailable as error:
        _log.warning("look_up_failed", reason=str(error), count=len(chunk))
        return {}
    except RefusedError:
        if len(chunk) == 1:
            _log.warning("look_up_failed", reason="refused", count=1)
            return {}
    middle = len(chunk) // 2
    halves = await asyncio.gather(_bisect(query, chunk[:middle]), _bisect(query, chunk[middle:]))
    return halves[0] | halves[1]


async def _post(client: HttpClient, path: str, body: Any) -> Any:
    """Return the response's body. Raises Unavailable; RefusedError for a refusal of the content."""
    response = await client.post(path, body)
    if response.status in REFUSED_FOR_ITS_CONTENT:
        raise RefusedError
    if response.status != OK:
        raise Unavailable(f"{path}: status {response.status}")
    return response.body


def _parsed(model: type[M], body: Any) -> M:
    """Parse a response without its results. Raises Unavailable, naming the invalid field."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise Unavailable(f"response: field {where or 'body'} is invalid") from None


def _valid(model: type[M], results: Iterable[Any]) -> list[M]:
    """Return the valid results."""
    valid = []
    for result in results:
        try:
            valid.append(model.model_validate(result))
        except ValidationError:
            continue
    return valid


def _consistent(queried: Sequence[str], results: Sequence[tuple[str, A]]) -> dict[str, A]:
    """Return the results of queried names; two results for one name contradict each other."""
    times = Counter(name for name, _ in results)
    return {name: result for name, result in results if name in queried and times[name] == 1}


@dataclass
class MemorySanctionsList:
    """The memory twin of the sanctions list; `silent` accounts have no result."""

    listed: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    queries: list[Collection[str]] = field(default_factory=list)

    async def screen(self, accounts: Collection[str]) -> Mapping[str, Match]:
        self.queries.append(accounts)
        return {
            account: Match(account in self.listed, 100 * (account in self.listed), "memory-1")
            for account in accounts
            if account not in self.silent
        }


@dataclass
class MemoryIdentities:
    """The memory twin: unknown users are verified; `silent` users have no result."""

    known: dict[str, KycStatus] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    queries: list[Collection[str]] = field(default_factory=list)

    async def statuses(self, user_ids: Collection[str]) -> Mapping[str, KycStatus]:
        self.queries.append(user_ids)
        return {
            user: self.known.get(user, "verified") for user in user_ids if user not in self.silent
        }
