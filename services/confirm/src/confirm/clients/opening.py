"""Opens encrypted requests: in worker threads, with joserfc, its algorithms pinned."""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from joserfc.errors import JoseError

from confirm.domain.encrypted import OpenedRequest, opened
from confirm.domain.requests import is_expired
from payment_schemas import answers
from payment_schemas.answers import Answer, RefusedError
from payment_schemas.confirm_body import confirm_body_of
from payment_schemas.encrypted import (
    ALGORITHMS,
    EncryptedHeader,
    content_of,
    header_of,
)
from payment_schemas.events.confirmation import ConfirmRequested
from payment_schemas.sealed import Personal, Sealed, SealedCode
from service_runtime import metrics
from service_runtime.compute import Executor
from service_runtime.encryption_keys import OpeningKey
from service_runtime.errors import Unavailable
from service_runtime.jwe import decrypted
from service_runtime.key_provider import KeyProvider
from service_runtime.key_sets import EncryptionKeys, key_set
from service_runtime.logs import Log
from service_runtime.messages import Batch, Received
from service_runtime.proving import proof_of

SLICE = 16
"""Requests that one worker opens in a row: 10 ms with RSA-3072."""
PROVEN_EVERY_S = 60.0

_log = Log("encryption")
_opened = metrics.counter("encrypted_request", "Encrypted requests, by what became of them.")
Lookup = OpenedRequest | Answer


@dataclass(frozen=True, slots=True)
class Seals:
    """What seals the fields of a request that confirm must not pass on in clear."""

    code: Callable[[str, str, str], SealedCode]
    """Takes user, transaction and code."""
    name: Callable[[str, str, Personal], Sealed]
    """Takes user, transaction and the payee's name."""


@dataclass(frozen=True, slots=True)
class Workers:
    """The threads that open requests."""

    executor: Executor
    count: int


class Opening:
    """Opens the encrypted requests of a batch before its transaction."""

    def __init__(
        self,
        keys: EncryptionKeys,
        provider: KeyProvider,
        workers: Workers,
        seals: Seals,
        currencies: Collection[str],
    ) -> None:
        self._keys = keys
        self._provider = provider
        self._workers = workers
        self._seals = seals
        self._currencies = currencies
        self._proven: dict[str, bool] = {}

    async def gather(self, batch: Batch[Received[ConfirmRequested], Any]) -> Mapping[UUID, Lookup]:
        """Return for each encrypted request its command, or the answer that refuses it.

        While the keys are away, that is 503, which promises that nothing happened: a plain request
        of the same batch need not wait.
        """
        items = [
            item
            for item in batch
            if item.event.encrypted is not None and not is_expired(item.event, batch.now)
        ]
        if not items:
            return {}
        found: dict[UUID, Lookup] = {}
        step = SLICE * self._workers.count
        for start in range(0, len(items), step):
            found |= await self._in_workers(items[start : start + step])
        return found

    async def _in_workers(self, items: Sequence[Received[ConfirmRequested]]) -> dict[UUID, Lookup]:
        count = self._workers.count
        parts = [items[number::count] for number in range(count)]
        results = await asyncio.gather(*(self._in_worker(part) for part in parts if part))
        return {one: answer for result in results for one, answer in result.items()}

    async def _in_worker(self, items: Sequence[Received[ConfirmRequested]]) -> dict[UUID, Lookup]:
        try:
            return await self._workers.executor.run(self._all, items)
        except (Unavailable, TimeoutError):
            return {item.cause.id: _counted(answers.unavailable()) for item in items}

    def _all(self, items: Sequence[Received[ConfirmRequested]]) -> dict[UUID, Lookup]:
        """Open some requests; once the keys are away, the rest is not tried."""
        found: dict[UUID, Lookup] = {}
        for item in items:
            try:
                found[item.cause.id] = _counted(self.open(item))
            except Unavailable as error:
                _log.warning("keys_unavailable", reason=str(error))
                rest = (one for one in items if one.cause.id not in found)
                return found | {one.cause.id: _counted(answers.unavailable()) for one in rest}
        return found

    def open(self, item: Received[ConfirmRequested]) -> Lookup:
        """Open one request, in any thread; raise Unavailable where its key is away."""
        request, token = item.event, item.event.encrypted or ""
        try:
            header = header_of(token, item.time)
            plain = self._decrypted(token, self._key_of(header, item))
            content = content_of(plain, header, request.user_id)
            body = confirm_body_of(
                content.fields, request.idempotency_key, currencies=self._currencies
            )
        except RefusedError as refused:
            return refused.answer
        code = None
        if body.otp_code is not None:
            code = self._seals.code(request.user_id, request.transaction_id, body.otp_code)
        name = None
        if body.to_name is not None:
            name = self._seals.name(request.user_id, request.transaction_id, body.to_name)
        return opened(request, body, code, name, content.token_id)

    def _key_of(self, header: EncryptedHeader, item: Received[ConfirmRequested]) -> OpeningKey:
        key = self._keys.find(header.kid, item.time)
        is_for_it = key is not None and ALGORITHMS[key.kind] == header.algorithm
        if key is None or not is_for_it or header.transaction_id != item.event.transaction_id:
            raise RefusedError(answers.not_decrypted())
        return key

    def _decrypted(self, token: str, key: OpeningKey) -> bytes:
        try:
            return decrypted(token, key, self._provider)
        except (JoseError, ValueError):
            raise RefusedError(answers.not_decrypted()) from None

    async def published(self) -> dict[str, Any]:
        """Return the JWK set of the keys that have opened a request of our own."""
        keys = list(self._keys)
        await self._prove(key for key in keys if key.kid not in self._proven)
        return key_set([key for key in keys if self._proven[key.kid]])

    async def run(self, stopping: asyncio.Event) -> None:
        """Prove keys at the start, and again those that could not be used."""
        while not stopping.is_set():
            with contextlib.suppress(Unavailable, TimeoutError):
                await self._prove(key for key in self._keys if not self._proven.get(key.kid))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), PROVEN_EVERY_S)

    async def _prove(self, keys: Iterable[OpeningKey]) -> None:
        """Say what the place of a key can do and cannot, before a client uses the key."""
        for key in keys:
            fault = await self._workers.executor.run(self._fault, key)
            algorithm = ALGORITHMS[key.kind]
            if fault is None:
                _log.info("key_proven", subject=key.kid, operation=algorithm)
            elif self._proven.get(key.kid) is not False:
                _log.error("key_not_able", subject=key.kid, operation=algorithm, reason=fault)
            self._proven[key.kid] = fault is None

    def _fault(self, key: OpeningKey) -> str | None:
        try:
            plain = decrypted(proof_of(key), key, self._provider)
        except (Unavailable, JoseError, ValueError) as error:
            return str(error)
        return None if plain == key.kid.encode() else "it decrypts to something else"


def _counted(found: Lookup) -> Lookup:
    if isinstance(found, OpenedRequest):
        result = "opened"
    else:
        result = "unavailable" if found == answers.unavailable() else "refused"
    _opened.add(1, {"result": result})
    return found
