"""Who can receive a code: notification knows, and says no more than that."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

from payment_schemas.events.otp import ChallengeRequested
from service_runtime.errors import Unavailable
from service_runtime.http_client import HttpClient
from service_runtime.logs import Log
from service_runtime.messages import Batch, Received

CHUNK = 1000
"""The most users that notification is asked about in one call."""
WITHIN_S = 1.0
"""For a whole batch, on all instances: whoever waits for a code waits for this, too."""
CALL_S = 0.8
OK = 200

_log = Log("contacts")


class Contacts(Protocol):
    """Knows who has a contact that may receive a code."""

    async def reachable(self, user_ids: Collection[str]) -> Mapping[str, bool]:
        """Say who can receive a code; a user about whom nothing is known is left out."""
        ...


class HttpContacts:
    """Asks one instance of notification after the other until one answers."""

    def __init__(self, urls: Sequence[str], credential: str) -> None:
        headers = {"Authorization": f"Bearer {credential}"}
        self._clients = [
            HttpClient(f"contacts-{number}", url, CALL_S, headers)
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
        return {name: told for answers in found for name, told in answers.items()}

    async def _in_time(self, user_ids: Sequence[str]) -> dict[str, bool]:
        try:
            async with asyncio.timeout(WITHIN_S):
                return await self._ask(user_ids)
        except TimeoutError:
            _log.warning("look_up_failed", reason="took too long", count=len(user_ids))
            return {}

    async def _ask(self, user_ids: Sequence[str]) -> dict[str, bool]:
        for client in self._clients:
            try:
                answer = await client.post("/admin/contacts:query", {"user_ids": user_ids})
            except Unavailable as error:
                _log.warning("look_up_failed", reason=str(error), count=len(user_ids))
                continue
            if answer.status == OK:
                return _told(answer.body)
            _log.warning("look_up_failed", reason=f"status {answer.status}", count=len(user_ids))
        return {}


def _told(body: Any) -> dict[str, bool]:
    """Return what an answer says; what is malformed says nothing."""
    results = body.get("results") if isinstance(body, dict) else None
    return {
        one["user_id"]: one["can_receive_code"]
        for one in (results if isinstance(results, list) else ())
        if isinstance(one, dict)
        and isinstance(one.get("user_id"), str)
        and isinstance(one.get("can_receive_code"), bool)
    }


@dataclass(frozen=True, slots=True)
class LookUp:
    """Asks, before any transaction, whom the codes of a batch would reach."""

    contacts: Contacts

    async def __call__(self, batch: Batch[Received[ChallengeRequested]]) -> Mapping[Any, bool]:
        """Return who can receive a code; where nothing is known the delivery itself will tell."""
        asked = {
            item.cause.id: item.event.user_id for item in batch if batch.now < item.event.expires_at
        }
        if not asked:
            return {}
        found = await self.contacts.reachable(set(asked.values()))
        return {name: found[user] for name, user in asked.items() if user in found}


@dataclass
class MemoryContacts:
    """The twin: everyone can be reached but `unreachable`; of `silent` nothing is known."""

    unreachable: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    asked: list[Collection[str]] = field(default_factory=list)

    async def reachable(self, user_ids: Collection[str]) -> Mapping[str, bool]:
        self.asked.append(user_ids)
        return {name: name not in self.unreachable for name in user_ids if name not in self.silent}
