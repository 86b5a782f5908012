"""The command for confirm, made from a request. Pure."""

import re
from collections.abc import Mapping

from payment_schemas.confirm_body import ConfirmBody
from payment_schemas.encrypted import EncryptedHeader
from payment_schemas.events.base import ClientContext
from payment_schemas.events.confirmation import ConfirmRequested
from payment_schemas.ids import RequestId
from payment_schemas.sealed import SealedCode

SCOPE = "payment.confirm"
_TRACEPARENT = re.compile(r"^(00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16})-[0-9a-f]{2}\Z")
_COUNTRY = re.compile(r"^[A-Z]{2}\Z")
_FINGERPRINT = re.compile(r"^[\x21-\x7e]{1,128}\Z")


def client_context(
    headers: Mapping[str, str], address: str, traceparent: str | None = None, *, trusted: bool
) -> ClientContext:
    """Return the origin of a request; a country is taken from a trusted sender only."""
    country = headers.get("x-client-country", "")
    fingerprint = headers.get("x-device-fingerprint", "")
    return ClientContext(
        ip_address=address,
        device_fingerprint=fingerprint if _FINGERPRINT.match(fingerprint) else None,
        country=country if trusted and _COUNTRY.match(country) else None,
        traceparent=traceparent,
    )


def trace_of(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the client's trace context, not sampled, where its header is well-formed.

    Without a tracer here, a client's sampling flag must not make other services record. Source: W3C
    Trace Context.
    """
    found = _TRACEPARENT.match(headers.get("traceparent", ""))
    return (("traceparent", f"{found[1]}-00"),) if found else ()


def command(
    request_id: RequestId,
    user_id: str,
    body: ConfirmBody,
    code: SealedCode | None,
    context: ClientContext,
) -> ConfirmRequested:
    """Return the command; its sender fills in `reply_partition` and `expires_at`."""
    return ConfirmRequested(
        request_id=request_id,
        reply_partition=0,
        user_id=user_id,
        transaction_id=body.transaction_id,
        idempotency_key=body.idempotency_key,
        amount=None if body.amount is None else str(body.amount),
        currency=body.currency,
        from_account=body.from_account,
        to_account=body.to_account,
        sealed_code=code.sealed if code else None,
        code_tag=code.tag if code else None,
        instrument=body.instrument,
        branch=body.branch,
        context=context,
    )


def encrypted_command(
    request_id: RequestId,
    user_id: str,
    header: EncryptedHeader,
    token: str,
    about: tuple[str, ClientContext],
) -> ConfirmRequested:
    """Return the command with an encrypted body; `about`: idempotency key and origin."""
    idempotency_key, context = about
    return ConfirmRequested(
        request_id=request_id,
        reply_partition=0,
        user_id=user_id,
        transaction_id=header.transaction_id,
        idempotency_key=idempotency_key,
        encrypted=token,
        context=context,
    )
