"""The HTTP unit of work: effect, events and the stored reply of one request are one commit."""

import hashlib
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import orjson
import psycopg
from fastapi import HTTPException, Request
from fastapi.responses import Response

from service_runtime import tracing
from service_runtime.clock import Clock
from service_runtime.errors import Conflict
from service_runtime.messages import Cause, Emit, ProducerRecord
from service_runtime.postgres import PostgresTransaction
from service_runtime.unit_of_work import UnitOfWork
from service_runtime.web import given_once

KEY_CHARACTERS = 255
_VERSION = re.compile(r'"([0-9]{1,18})"')
"""Within PostgreSQL's bigint."""
REFUSED = 400
"""A reply from here on writes nothing and is not stored: the same key may be used again."""
_REQUESTS = uuid5(NAMESPACE_URL, "urn:countersign:request")


class StaleVersionError(Conflict):
    """The row has another version than the caller has seen: 412 to an If-Match, else 409."""

    reason = "stale_version"


@dataclass(frozen=True, slots=True)
class Reply:
    """What a request is answered, and what is published once it is committed."""

    body: Any
    status: int = 200
    events: Sequence[Emit] = ()
    records: Sequence[ProducerRecord] = ()
    """Records that are no events of this service, such as redriven ones; published first."""
    version: int | None = None
    """Of the row, for the ETag that a later If-Match repeats."""


Act = Callable[[PostgresTransaction, Cause], Awaitable[Reply]]
"""Writes in the transaction; the cause is that of the events. A race runs it again."""


class _RefusedError(Exception):
    """Rolls back what a refused request has written."""


def version_of(request: Request) -> int | None:
    """Return the version in `If-Match`, None without one; answer 400 where it is malformed."""
    header = request.headers.get("if-match")
    if header is None:
        return None
    if not (found := _VERSION.fullmatch(header)):
        raise HTTPException(400, "Invalid header: If-Match")
    return int(found[1])


class HttpUnitOfWork:
    """Runs requests. A repeat of a key gets the first reply, byte for byte."""

    def __init__(self, unit: UnitOfWork, service: str, clock: Clock) -> None:
        self._unit = unit
        self._service = service
        self._clock = clock

    async def run(
        self,
        request: Request,
        caller: str,
        act: Act,
        *,
        is_stored: bool = True,
        key: str | None = None,
    ) -> Response:
        """Return the reply of `act`, or the stored one of the caller's Idempotency-Key.

        `is_stored=False`: the reply holds a secret, so that the key is ignored. `key`: where the
        request has no Idempotency-Key, but an id of its own in its body.

        409 while the first request with the key is not done, where a constraint refuses, and for a
        stale version (412 to an If-Match); 422 where the key was used for another request; 400 for
        a value that the database does not take. Raises Unavailable where nothing was written.
        """
        own_key = _key_of(request) or key if is_stored else None
        once = _Once(caller, own_key, await _fingerprint(request))
        replies: list[Response] = []

        async def write(tx: PostgresTransaction) -> Sequence[ProducerRecord]:
            if stored := await once.stored(tx):
                replies.append(stored)
                return ()
            reply = await act(tx, self._cause(request, once))
            replies.append(_response(reply))
            if reply.status >= REFUSED:
                raise _RefusedError
            await once.store(tx, replies[-1])
            now = self._clock.now()
            return [
                *reply.records,
                *(emit.outgoing(self._service, now) for emit in reply.events),
            ]

        try:
            await self._unit.run_in_transaction(write)
        except _RefusedError:
            pass
        except StaleVersionError as error:
            status = 412 if "if-match" in request.headers else 409
            raise HTTPException(status, str(error)) from None
        except psycopg.DataError as error:
            details = (error.diag.message_primary or "out of range").partition(":")[0]
            raise HTTPException(400, {"error": "Invalid value", "details": details}) from None
        return replies[-1]

    def _cause(self, request: Request, once: "_Once") -> Cause:
        name = f"{once.caller}\n{once.key}"
        request_id: UUID = request.state.request_id
        return Cause(uuid5(_REQUESTS, name) if once.key else request_id, tracing.current_trace())


@dataclass(frozen=True, slots=True)
class _Once:
    """The stored reply of one caller's key."""

    caller: str
    key: str | None
    fingerprint: bytes

    async def stored(self, tx: PostgresTransaction) -> Response | None:
        """Return the reply that is stored under the key; answer 409 or 422 where there is none."""
        if self.key is None:
            return None
        # Held until the commit, and gone with the connection: no crash leaves a key in progress.
        lock = "select pg_try_advisory_xact_lock(hashtextextended(%(name)s, 1)) as is_first"
        if not (await tx.rows(lock, name=f"{self.caller}\n{self.key}"))[0]["is_first"]:
            raise HTTPException(409, "A request with this Idempotency-Key is in progress")
        found = await tx.rows(
            """select fingerprint, status, headers, body from http_reply
               where caller = %(caller)s and idempotency_key = %(key)s""",
            caller=self.caller,
            key=self.key,
        )
        if found and found[0]["fingerprint"] != self.fingerprint:
            raise HTTPException(422, "This Idempotency-Key was used for another request")
        return (
            Response(found[0]["body"], found[0]["status"], found[0]["headers"]) if found else None
        )

    async def store(self, tx: PostgresTransaction, reply: Response) -> None:
        """Keep a reply with what it answers for."""
        if self.key is None:
            return
        await tx.run(
            """insert into http_reply (caller, idempotency_key, fingerprint, status, headers, body)
               values (%(caller)s, %(key)s, %(fingerprint)s, %(status)s, %(headers)s, %(body)s)""",
            caller=self.caller,
            key=self.key,
            fingerprint=self.fingerprint,
            status=reply.status_code,
            headers=orjson.dumps(dict(reply.headers)).decode(),
            body=bytes(reply.body),
        )


def _key_of(request: Request) -> str | None:
    if "idempotency-key" not in request.headers:
        return None
    key = given_once(request.headers, "idempotency-key")
    if not key or len(key) > KEY_CHARACTERS or not key.isprintable():
        raise HTTPException(400, "Invalid header: Idempotency-Key")
    return key


async def _fingerprint(request: Request) -> bytes:
    line = f"{request.method} {request.url.path}?{request.url.query}\n".encode()
    return hashlib.sha256(line + await request.body()).digest()


def _response(reply: Reply) -> Response:
    headers = {} if reply.version is None else {"ETag": f'"{reply.version}"'}
    if reply.status == HTTPStatus.NO_CONTENT:
        return Response(None, reply.status, headers)
    return Response(orjson.dumps(reply.body), reply.status, headers, "application/json")
