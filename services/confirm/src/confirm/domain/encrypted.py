"""Requests whose body was encrypted, once they are open."""

from dataclasses import dataclass

from payment_schemas.confirm_body import ConfirmBody
from payment_schemas.events.confirmation import ConfirmRequested
from payment_schemas.sealed import Sealed, SealedCode


@dataclass(frozen=True, slots=True)
class TokenUse:
    """The use of one encryption (`jti`) for one request: under another key it is a replay."""

    user_id: str
    token_id: str
    idempotency_key: str
    transaction_id: str


@dataclass(frozen=True, slots=True)
class OpenedRequest:
    """A command with the fields of its decrypted body."""

    request: ConfirmRequested
    use: TokenUse


def opened(
    request: ConfirmRequested,
    body: ConfirmBody,
    code: SealedCode | None,
    to_name: Sealed | None,
    token_id: str,
) -> OpenedRequest:
    """Return a command as the gateway sends it for a plain request."""
    fields = {
        "amount": None if body.amount is None else str(body.amount),
        "currency": body.currency,
        "from_account": body.from_account,
        "to_account": body.to_account,
        "sealed_to_name": to_name,
        "instrument": body.instrument,
        "branch": body.branch,
        "sealed_code": code.sealed if code else None,
        "code_tag": code.tag if code else None,
        "encrypted": None,
    }
    use = TokenUse(request.user_id, token_id, request.idempotency_key, request.transaction_id)
    return OpenedRequest(request.model_copy(update=fields), use)
