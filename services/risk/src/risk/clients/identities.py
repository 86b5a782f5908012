"""The client of the identity checks."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from payment_schemas.events.risk import KycStatus
from risk.clients.calls import Reply, consistent, in_chunks, parsed, post, valid
from service_runtime.http_client import HttpClient
from service_runtime.ports import Database

ReadKnown = Callable[[Any, Sequence[str]], Awaitable[Mapping[str, KycStatus]]]
"""Returns, within a transaction, the announced statuses of users, as of now."""


class Identities(Protocol):
    """The port to the state of customers' documents."""

    async def statuses(self, user_ids: Collection[str]) -> Mapping[str, KycStatus]:
        """Return statuses by user; a user without a valid result is left out."""
        ...


class _Identified(Reply):
    user_id: str
    status: KycStatus


class _IdentifiedMany(Reply):
    results: list[Any]


class Kyc:
    """The identity service."""

    def __init__(self, client: HttpClient) -> None:
        self._client = client

    async def statuses(self, user_ids: Collection[str]) -> Mapping[str, KycStatus]:
        return await in_chunks(self._query, user_ids)

    async def _query(self, user_ids: Sequence[str]) -> dict[str, KycStatus]:
        body = await post(self._client, "/customers:batch", {"user_ids": user_ids})
        identified = valid(_Identified, parsed(_IdentifiedMany, body).results)
        return consistent(user_ids, [(one.user_id, one.status) for one in identified])


class KnownFirst:
    """The statuses that compliance has announced; the identity service is asked about the others.

    What is announced is read from risk's own table, so that a look-up waits for nobody else.
    """

    def __init__(self, database: Database, known: ReadKnown, others: Identities) -> None:
        self._database = database
        self._known = known
        self._others = others

    async def statuses(self, user_ids: Collection[str]) -> Mapping[str, KycStatus]:
        async with self._database.transaction() as tx:
            known = await self._known(tx, sorted(user_ids))
        left = [name for name in user_ids if name not in known]
        return {**known, **(await self._others.statuses(left) if left else {})}


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
