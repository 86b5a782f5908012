"""The two look-ups: sanctions screening (OFAC) and identity (KYC), in parallel and in batches.

What is missing, malformed or contradictory is no answer for its record, and stops no other.
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
"""The most that both services take in one call."""
CHUNK_WITHIN_S = 8.0
"""For one chunk with all its halves: a slice of retries must fit its lease."""
OK = 200
REFUSED_FOR_ITS_CONTENT = frozenset({400, 413, 422})

A = TypeVar("A")
M = TypeVar("M", bound=BaseModel)
Ask = Callable[[Sequence[str]], Awaitable[dict[str, A]]]
_log = Log("look_ups")


class RefusedError(Exception):
    """The other side refused a chunk for what stands in it: its halves may pass."""


@dataclass(frozen=True, slots=True)
class Match:
    """One account held against the sanctions list."""

    hit: bool
    match_score: int
    list_version: str


class SanctionsList(Protocol):
    """Holds accounts against a sanctions list."""

    async def screen(self, accounts: Collection[str]) -> Mapping[str, Match]:
        """Return what is known by account; an account without an answer is left out."""
        ...


class Identities(Protocol):
    """Knows the state of customers' documents."""

    async def statuses(self, user_ids: Collection[str]) -> Mapping[str, KycStatus]:
        """Return what is known by user; a user without an answer is left out."""
        ...


class _Answer(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


class _Screened(_Answer):
    id: str
    hit: bool
    match_score: Annotated[int, Field(ge=0, le=100)]


class _ScreenedMany(_Answer):
    list_version: Annotated[str, Field(min_length=1, max_length=64)]
    results: list[Any]


class _Identified(_Answer):
    user_id: str
    status: KycStatus


class _IdentifiedMany(_Answer):
    results: list[Any]


class Ofac:
    """The sanctions screening service."""

    def __init__(self, client: HttpClient) -> None:
        self._client = client

    async def screen(self, accounts: Collection[str]) -> Mapping[str, Match]:
        return await _in_chunks(self._ask, accounts)

    async def _ask(self, accounts: Sequence[str]) -> dict[str, Match]:
        parties = [{"id": account, "account_id": account} for account in accounts]
        body = await _post(self._client, "/screenings:batch", {"parties": parties})
        answer = _whole(_ScreenedMany, body)
        screened = _each(_Screened, answer.results)
        return _only(
            accounts,
            [(one.id, Match(one.hit, one.match_score, answer.list_version)) for one in screened],
        )


class Kyc:
    """The identity service."""

    def __init__(self, client: HttpClient) -> None:
        self._client = client

    async def statuses(self, user_ids: Collection[str]) -> Mapping[str, KycStatus]:
        return await _in_chunks(self._ask, user_ids)

    async def _ask(self, user_ids: Sequence[str]) -> dict[str, KycStatus]:
        body = await _post(self._client, "/customers:batch", {"user_ids": user_ids})
        identified = _each(_Identified, _whole(_IdentifiedMany, body).results)
        return _only(user_ids, [(one.user_id, one.status) for one in identified])


class LookUps:
    """Gathers the evidence of a batch, before any transaction."""

    def __init__(self, sanctions: SanctionsList, identities: Identities) -> None:
        self._sanctions = sanctions
        self._identities = identities

    async def for_requests(
        self, batch: Batch[Received[AssessmentRequested]]
    ) -> Mapping[UUID, Evidence]:
        """Ask for what has just arrived, unless nobody waits for it any more."""
        return await self._gather(
            {item.cause.id: item.event for item in batch if batch.now < item.event.expires_at}
        )

    async def for_due(self, batch: Batch[Due[AssessmentRequest]]) -> Mapping[UUID, Evidence]:
        """Ask again for what had no answer."""
        return await self._gather(
            {item.cause.id: item.row for item in batch if not is_over(item.row, batch.now)}
        )

    async def _gather(
        self, asked: Mapping[UUID, AssessmentRequested | AssessmentRequest]
    ) -> dict[UUID, Evidence]:
        accounts = {
            account for one in asked.values() for account in (one.from_account, one.to_account)
        }
        matches, statuses = await asyncio.gather(
            self._sanctions.screen(accounts),
            self._identities.statuses({one.user_id for one in asked.values()}),
        )
        return {
            name: _evidence(one, matches, statuses[one.user_id])
            for name, one in asked.items()
            if one.user_id in statuses and {one.from_account, one.to_account} <= matches.keys()
        }


def _evidence(
    asked: AssessmentRequested | AssessmentRequest, matches: Mapping[str, Match], kyc: KycStatus
) -> Evidence:
    debtor, creditor = matches[asked.from_account], matches[asked.to_account]
    return Evidence((_screening("debtor", debtor), _screening("creditor", creditor)), kyc)


def _screening(party: Party, match: Match) -> Screening:
    return Screening(
        party=party,
        hit=match.hit,
        list_version=match.list_version,
        match_score=match.match_score,
    )


async def _in_chunks(ask: Ask[A], names: Collection[str]) -> dict[str, A]:
    """Ask about all names, chunk by chunk at once; a chunk that fails gives nothing."""
    ordered = sorted(names)
    chunks = [ordered[start : start + CHUNK] for start in range(0, len(ordered), CHUNK)]
    found = await asyncio.gather(*(_bounded(ask, chunk) for chunk in chunks))
    return {name: answer for answers in found for name, answer in answers.items()}


async def _bounded(ask: Ask[A], chunk: Sequence[str]) -> dict[str, A]:
    try:
        async with asyncio.timeout(CHUNK_WITHIN_S):
            return await _answered(ask, chunk)
    except TimeoutError:
        _log.warning("look_up_failed", reason="chunk took too long", count=len(chunk))
        return {}


async def _answered(ask: Ask[A], chunk: Sequence[str]) -> dict[str, A]:
    """Ask about a chunk; where it is refused for its content, ask about each half."""
    try:
        return await ask(chunk)
    except Unavailable as error:
        _log.warning("look_up_failed", reason=str(error), count=len(chunk))
        return {}
    except RefusedError:
        if len(chunk) == 1:
            _log.warning("look_up_failed", reason="refused", count=1)
            return {}
    middle = len(chunk) // 2
    halves = await asyncio.gather(_answered(ask, chunk[:middle]), _answered(ask, chunk[middle:]))
    return halves[0] | halves[1]


async def _post(client: HttpClient, path: str, body: Any) -> Any:
    """Return the answer's body. Raises Unavailable, or RefusedError for a refusal by content."""
    answer = await client.post(path, body)
    if answer.status in REFUSED_FOR_ITS_CONTENT:
        raise RefusedError
    if answer.status != OK:
        raise Unavailable(f"{path}: status {answer.status}")
    return answer.body


def _whole(model: type[M], body: Any) -> M:
    """Check the frame of an answer. Raises Unavailable, naming the field that is wrong."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise Unavailable(f"answer: field {where or 'body'} is wrong") from None


def _each(model: type[M], results: Iterable[Any]) -> list[M]:
    """Return the results that are well formed."""
    good = []
    for result in results:
        try:
            good.append(model.model_validate(result))
        except ValidationError:
            continue
    return good


def _only(asked: Sequence[str], answers: Sequence[tuple[str, A]]) -> dict[str, A]:
    """Keep the answers to what was asked; two for one name contradict each other."""
    times = Counter(name for name, _ in answers)
    return {name: answer for name, answer in answers if name in asked and times[name] == 1}


@dataclass
class MemorySanctionsList:
    """A list in memory; `silent` accounts get no answer."""

    listed: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    asked: list[Collection[str]] = field(default_factory=list)

    async def screen(self, accounts: Collection[str]) -> Mapping[str, Match]:
        self.asked.append(accounts)
        return {
            account: Match(account in self.listed, 100 * (account in self.listed), "memory-1")
            for account in accounts
            if account not in self.silent
        }


@dataclass
class MemoryIdentities:
    """Customers in memory: anyone unknown is verified; `silent` users get no answer."""

    known: dict[str, KycStatus] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    asked: list[Collection[str]] = field(default_factory=list)

    async def statuses(self, user_ids: Collection[str]) -> Mapping[str, KycStatus]:
        self.asked.append(user_ids)
        return {
            user: self.known.get(user, "verified") for user in user_ids if user not in self.silent
        }
