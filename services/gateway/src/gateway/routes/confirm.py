"""`POST /payment/confirm`: the contract's refusals in order, then confirm's answer."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from time import perf_counter

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from gateway.clients.confirmation import Confirmation
from gateway.domain import SealedCode, client_context, command, is_within, trace_of
from gateway.routes.admission import Admission, RefusedError, peer_of
from payment_schemas import answers
from payment_schemas.answers import Answer
from payment_schemas.confirm_body import MAX_BODY_BYTES, InvalidBodyError, parse_confirm_body
from payment_schemas.events.base import ClientContext
from service_runtime import metrics, tracing
from service_runtime.errors import Unavailable
from service_runtime.web import given_once

SAYS_OF_ITSELF = ("x-device-fingerprint", "x-client-country", "traceparent")

_duration = metrics.histogram("payment_confirm_duration", "Confirmations, from wire to answer.")

Seal = Callable[[str, str, str], SealedCode]
"""Seals a code: user, transaction, code."""


@dataclass(frozen=True, slots=True)
class ConfirmRoute:
    """Takes a confirmation from the wire to confirm and back."""

    admission: Admission
    confirmation: Confirmation
    seal: Seal
    answer_within_s: float
    strict_keys: bool
    currencies: Collection[str]
    """Those that the platform can score."""
    anyone_trusted: bool
    """Whether a country is believed from anyone: in the development profile."""

    async def __call__(self, request: Request) -> Response:
        """Answer one request, whatever it holds."""
        started_s = perf_counter()
        answer = await self._guarded(request)
        _duration.record(perf_counter() - started_s, {"status": str(answer.status)})
        return response_of(answer)

    async def _guarded(self, request: Request) -> Answer:
        try:
            return await self._answer(request)
        except RefusedError as refused:
            return refused.answer
        except InvalidBodyError as invalid:
            return invalid.answer
        except Unavailable:
            return answers.unavailable()

    async def _answer(self, request: Request) -> Answer:
        if self.confirmation.is_full:
            # Whoever cannot be helped should cost little: those who wait need the rest.
            raise Unavailable("too many requests wait")
        raw = await _body(request)
        user_id = await self.admission.writer(request)
        keys = request.headers.getlist("idempotency-key")
        body = parse_confirm_body(
            raw,
            next(iter(keys), None),
            strict_keys=self.strict_keys,
            keys_differ=len(set(keys)) > 1,
            currencies=self.currencies,
        )
        code = None
        if body.otp_code is not None:
            code = self.seal(user_id, body.transaction_id, body.otp_code)
        trace = tracing.current_trace() or trace_of(_given_once(request.headers))
        context = self._context(request).model_copy(
            update={"traceparent": dict(trace).get("traceparent")}
        )
        asked = command(request.state.request_id, user_id, body, code, context)
        answer = await self.confirmation.ask(asked, trace, self.answer_within_s)
        return answer or answers.pending(body.transaction_id)

    def _context(self, request: Request) -> ClientContext:
        believed = self.anyone_trusted or is_within(
            peer_of(request), self.admission.trusted_proxies
        )
        address = self.admission.address(request)
        return client_context(_given_once(request.headers), address, believed=believed)


async def _body(request: Request) -> bytes:
    declared = given_once(request.headers, "content-type") or ""
    media_type = declared.partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise RefusedError(answers.unsupported_media_type())
    try:
        return await _bounded_body(request)
    except ClientDisconnect:
        # Nobody is left to read it, or the server has told one who sends too slowly.
        raise RefusedError(answers.malformed_json()) from None


def _given_once(headers: Headers) -> Mapping[str, str]:
    """Return what a client says of itself; what it says in two ways is not believed."""
    found = {name: given_once(headers, name) for name in SAYS_OF_ITSELF}
    return {name: value for name, value in found.items() if value is not None}


async def _bounded_body(request: Request) -> bytes:
    raw = b""
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > MAX_BODY_BYTES:
            raise RefusedError(answers.body_too_large())
    return raw


def response_of(answer: Answer) -> Response:
    """Return the HTTP response of an answer."""
    return Response(answer.body, answer.status, dict(answer.headers), media_type="application/json")
