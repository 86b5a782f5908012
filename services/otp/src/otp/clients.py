"""The client of notification: queries who can receive a code."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

from payment_schemas.events.otp import ChallengeRequested
from service_runtime.errors import Unavailable
from service_runtime.http_client import HttpClient
from service_runtime.logs import Log
from service_runtime.messages import Batch, Received
from service_runtime.tls import Certificates

CHUNK = 1000
"""The maximum number of users in one call."""
WITHIN_S = 1.0
"""Time limit for a batch, over all instances; it delays the codes of the batch."""
CALL_S = 0.8
OK = 200

_log = Log("contacts")


class Contacts(Protocol):
    """Port to the users' contacts."""

    async def reachable(self, user_ids: Collection[str]) -> Mapping[str, bool]:
        """Return who can receive a code; users without a result are missing."""
        ...


class HttpContacts:
    """Queries the instances of notification in turn until one responds."""

    def __init__(
        self, urls: Sequence[str], credential: Callable[[], str], tls: Certificates | None = None
    ) -> None:
        self._clients = [
            HttpClient(f"contacts-{number}", url, CALL_S, credential, tls=tls)
            for number, url in enumerate(urls)
        ]
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for client in self._clients:
            await self._stack.enter_async_context(client)
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._stack.aclose()

    async def reachable(self, user_ids: Collection[str]) -> Mapping[str, bool]:
        ordered = sorted(user_ids)
        chunks = [ordered[start : start + CHUNK] for start in range(0, len(ordered), CHUNK)]
        found = await asyncio.gather(*(self._in_time(chunk) for chunk in chunks))
        return {name: result for results in found for name, result in results.items()}

    async def _in_time(self, user_ids: Sequence[str]) -> dict[str, bool]:
        try:
            async with asyncio.timeout(WITHIN_S):
                return await self._query(user_ids)
        except TimeoutError:
            _log.warning("look_up_failed", reason="took too long", count=len(user_ids))
            return {}

    async def _query(self, user_ids: Sequence[str]) -> dict[str, bool]:
        for client in self._clients:
            try:
                response = await client.post("/admin/contacts:query", {"user_ids": user_ids})
            except Unavailable as error:
                _log.warning("look_up_failed", reason=str(error), count=len(user_ids))
                continue
            if response.status == OK:
                return _parse(response.body)
            _log.warning("look_up_failed", reason=f"status {response.status}", count=len(user_ids))
        return {}


def _parse(body: Any) -> dict[str, bool]:
    """Return the results of a response; malformed results are skipped."""
    results = body.get("results") if isinstance(body, dict) else None
    return {
        result["user_id"]: result["can_receive_code"]
        for result in (results if isinstance(results, list) else ())
        if isinstance(result, dict)
        and isinstance(result.get("user_id"), str)
        and isinstance(result.get("can_receive_code"), bool)
    }


@dataclass(frozen=True, slots=True)
class LookUp:
    """Queries, before the transaction, who of a batch can receive a code."""

    contacts: Contacts

    async def __call__(self, batch: Batch[Received[ChallengeRequested]]) -> Mapping[Any, bool]:
        """Return by cause id whether the user can receive a code; unknown users are missing."""
        users = {
            item.cause.id: item.event.user_id for item in batch if batch.now < item.event.expires_at
        }
        if not users:
            return {}
        found = await self.contacts.reachable(set(users.values()))
        return {name: found[user] for name, user in users.items() if user in found}


@dataclass
class MemoryContacts:
    """The memory twin: all users can receive a code except `unreachable` and `unknown` ones."""

    unreachable: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)
    queries: list[Collection[str]] = field(default_factory=list)

    async def reachable(self, user_ids: Collection[str]) -> Mapping[str, bool]:
        self.queries.append(user_ids)
        return {name: name not in self.unreachable for name in user_ids if name not in self.unknown}
