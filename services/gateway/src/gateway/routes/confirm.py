"""`POST /payment/confirm`: the contract's refusals in order, then confirm's answer."""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from gateway.clients.confirmation import Confirmation
from gateway.domain import Network, SealedCode, client_context, command, trace_of
from gateway.routes.admission import Admission, RefusedError
from payment_schemas import answers
from payment_schemas.answers import Answer
from payment_schemas.confirm_body import MAX_BODY_BYTES, InvalidBodyError, parse_confirm_body
from service_runtime import tracing
from service_runtime.errors import Unavailable

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
    trusted_proxies: list[Network]
    anyone_trusted: bool

    async def __call__(self, request: Request) -> Response:
        """Answer one request, whatever it holds."""
        try:
            answer = await self._answer(request)
        except RefusedError as refused:
            answer = refused.answer
        except InvalidBodyError as invalid:
            answer = invalid.answer
        except Unavailable:
            answer = answers.unavailable()
        return response_of(answer)

    async def _answer(self, request: Request) -> Answer:
        raw = await _body(request)
        peer = request.client.host if request.client else "unknown"
        user_id = await self.admission.user(request.headers, peer)
        await self.admission.count(user_id)
        key = request.headers.get("idempotency-key")
        body = parse_confirm_body(raw, key, strict_keys=self.strict_keys)
        code = None
        if body.otp_code is not None:
            code = self.seal(user_id, body.transaction_id, body.otp_code)
        context = client_context(
            request.headers, peer, self.trusted_proxies, anyone=self.anyone_trusted
        )
        asked = command(request.state.request_id, user_id, body, code, context)
        trace = tracing.current_trace() or trace_of(request.headers)
        answer = await self.confirmation.ask(asked, trace, self.answer_within_s)
        return answer or answers.pending(body.transaction_id)


async def _body(request: Request) -> bytes:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise RefusedError(answers.unsupported_media_type())
    raw = b""
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > MAX_BODY_BYTES:
            raise RefusedError(answers.body_too_large())
    return raw


def response_of(answer: Answer) -> Response:
    """Return the HTTP response of an answer."""
    return Response(answer.body, answer.status, dict(answer.headers), media_type="application/json")
