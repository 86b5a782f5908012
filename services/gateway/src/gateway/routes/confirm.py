"""`POST /payment/confirm`: the contract's refusals in order, then confirm's reply."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from time import perf_counter

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from gateway.clients.confirmation import Confirmation
from gateway.domain import client_context, command, encrypted_command, trace_of
from payment_schemas import answers
from payment_schemas.answers import Answer, RefusedError
from payment_schemas.confirm_body import (
    MAX_BODY_BYTES,
    ConfirmBody,
    header_key_of,
    parse_confirm_body,
)
from payment_schemas.encrypted import ENCRYPTED_TYPE, header_of
from payment_schemas.events.base import ClientContext
from payment_schemas.events.confirmation import ConfirmRequested
from payment_schemas.sealed import Personal, Sealed, SealedCode
from service_runtime import metrics, tracing
from service_runtime.clock import Clock
from service_runtime.edge import Access, Admission
from service_runtime.edge.addresses import is_within
from service_runtime.edge.admission import peer_of
from service_runtime.errors import Unavailable
from service_runtime.responses import response_of
from service_runtime.web import given_once

PLAIN_TYPE = "application/json"
CLIENT_HEADERS = ("x-device-fingerprint", "x-client-country", "traceparent")

_duration = metrics.histogram("payment_confirm_duration", "Confirmations, from wire to answer.")

Seal = Callable[[str, str, str], SealedCode]
"""Seals a code: user, transaction, code."""
SealName = Callable[[str, str, Personal], Sealed]
"""Seals a payee's name: user, transaction, name."""


@dataclass(frozen=True, slots=True)
class ConfirmRoute:
    """Sends a confirmation to confirm and returns the reply."""

    admission: Admission
    access: Access
    confirmation: Confirmation
    seal: Seal
    seal_name: SealName
    answer_within_s: float
    strict_keys: bool
    currencies: Collection[str]
    """Currencies that the platform can score."""
    trusts_all: bool
    """Whether any client's country header is trusted: in the development profile."""
    clock: Clock
    demands_encryption: bool = False
    """Whether plain requests are refused."""

    async def __call__(self, request: Request) -> Response:
        """Return the response to one request."""
        started_s = perf_counter()
        answer = await self._guarded(request)
        _duration.record(perf_counter() - started_s, {"status": str(answer.status)})
        return response_of(answer)

    async def _guarded(self, request: Request) -> Answer:
        try:
            return await self._answer(request)
        except RefusedError as refused:
            return refused.answer
        except Unavailable:
            return answers.unavailable()

    async def _answer(self, request: Request) -> Answer:
        if self.confirmation.is_full:
            # Refused before any work: the waiting requests need the CPU.
            raise Unavailable("too many requests wait")
        given = self._accepted_type(request.headers)
        raw = await _body(request)
        user_id = (await self.admission.admit(request, self.access)).user_id
        about = _unambiguous(request.headers)
        trace = tracing.current_trace() or trace_of(about)
        context = self._context(request, about, dict(trace).get("traceparent"))
        read = self._encrypted if given == ENCRYPTED_TYPE else self._plain
        try:
            sent = read(raw, request, user_id, context)
        except RefusedError as refused:
            address = self.admission.address(request)
            self.admission.refusals.note(refused.answer.status, "body", address, user_id)
            raise
        answer = await self.confirmation.ask(sent, trace, self.answer_within_s)
        return answer or answers.pending(sent.transaction_id)

    def _accepted_type(self, headers: Headers) -> str:
        """Return the body's media type; raise RefusedError for any that is not accepted."""
        declared = given_once(headers, "content-type") or ""
        given = declared.partition(";")[0].strip().lower()
        if given not in (PLAIN_TYPE, ENCRYPTED_TYPE):
            raise RefusedError(answers.unsupported_media_type())
        if given == PLAIN_TYPE and self.demands_encryption:
            raise RefusedError(answers.encryption_required())
        return given

    def _plain(
        self, raw: bytes, request: Request, user_id: str, context: ClientContext
    ) -> ConfirmRequested:
        body = self._parsed(raw, request.headers)
        code = None
        if body.otp_code is not None:
            code = self.seal(user_id, body.transaction_id, body.otp_code)
        sent = command(request.state.request_id, user_id, body, code, context)
        if body.to_name is None:
            return sent
        name = self.seal_name(user_id, body.transaction_id, body.to_name)
        return sent.model_copy(update={"sealed_to_name": name})

    def _encrypted(
        self, raw: bytes, request: Request, user_id: str, context: ClientContext
    ) -> ConfirmRequested:
        """Return the command with the body as it came: only confirm can open it."""
        keys = request.headers.getlist("idempotency-key")
        key = header_key_of(
            next(iter(keys), None),
            strict_keys=self.strict_keys,
            keys_differ=len(set(keys)) > 1,
        )
        token = raw.decode("ascii", "replace")
        header = header_of(token, self.clock.now())
        return encrypted_command(request.state.request_id, user_id, header, token, (key, context))

    def _parsed(self, raw: bytes, headers: Headers) -> ConfirmBody:
        keys = headers.getlist("idempotency-key")
        return parse_confirm_body(
            raw,
            next(iter(keys), None),
            strict_keys=self.strict_keys,
            keys_differ=len(set(keys)) > 1,
            currencies=self.currencies,
        )

    def _context(
        self, request: Request, about: Mapping[str, str], traceparent: str | None
    ) -> ClientContext:
        trusted = self.trusts_all or is_within(peer_of(request), self.admission.trusted_proxies)
        address = self.admission.address(request)
        return client_context(about, address, traceparent, trusted=trusted)


async def _body(request: Request) -> bytes:
    try:
        return await _bounded_body(request)
    except ClientDisconnect:
        # The client has left, or the server has already answered 408.
        raise RefusedError(answers.malformed_json()) from None


async def _bounded_body(request: Request) -> bytes:
    raw = b""
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > MAX_BODY_BYTES:
            raise RefusedError(answers.body_too_large())
    return raw


def _unambiguous(headers: Headers) -> Mapping[str, str]:
    """Return the client's headers about itself; one given twice with two values is dropped."""
    found = {name: given_once(headers, name) for name in CLIENT_HEADERS}
    return {name: value for name, value in found.items() if value is not None}
