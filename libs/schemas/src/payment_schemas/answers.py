"""Every response of the edge, byte for byte: gateway, confirm and other APIs share them.

Source: the contract at the edge. The body is text, because a replay repeats it byte for byte.
"""

import json
from dataclasses import dataclass, replace
from math import ceil
from typing import Any, Literal

PublicStatus = Literal["PENDING", "OTP_REQUIRED", "SUCCESS", "DECLINED"]
PublicSettlementStatus = Literal[
    "NONE", "PENDING", "SENT", "SETTLED", "REJECTED", "UNKNOWN", "RECONCILE"
]
DeclineReason = Literal["insufficient_funds", "not_permitted", "otp_exhausted", "timed_out"]


def is_final(status: str, settlement_status: str) -> bool:
    """Return whether a payment that its owner sees so can never change again."""
    return status == "DECLINED" or settlement_status in ("SETTLED", "REJECTED")


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, a body as JSON text, and headers."""

    status: int
    body: str
    headers: tuple[tuple[str, str], ...] = ()

    def with_headers(self, **headers: str) -> "Answer":
        """Return the same answer with more headers; `_` in a name stands for `-`."""
        more = tuple((name.replace("_", "-"), value) for name, value in headers.items())
        return replace(self, headers=self.headers + more)


class RefusedError(Exception):
    """The request is refused; `answer` is the response."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.body)
        self.answer = answer


def _answer(status: int, /, **body: Any) -> Answer:
    return Answer(status, json.dumps(body, separators=(",", ":")))


def success(transaction_id: str, reference: str, settlement_method: str) -> Answer:
    """200: confirmed."""
    return _answer(
        200,
        status="SUCCESS",
        transaction_id=transaction_id,
        reference=reference,
        settlement_method=settlement_method,
    )


def otp_required(expires_in_s: int) -> Answer:
    """403: a one-time code is required; `expires_in_s` is rounded up."""
    message = "Please verify your identity with a one-time code."
    return _answer(403, status="OTP_REQUIRED", message=message, expires_in=expires_in_s)


def invalid_otp() -> Answer:
    """401: the same body for wrong, expired and used-up codes."""
    return _answer(401, error="Invalid OTP", details="Code does not match or expired")


def codes_locked() -> Answer:
    """403: too many wrong codes in a row over all payments; an operator unlocks. Not final."""
    return _answer(403, error="Codes locked", details="Too many wrong codes")


def otp_undeliverable() -> Answer:
    """403: a code is required, and the user has no contact that may receive one. Not final."""
    message = "No verified contact for a one-time code."
    return _answer(403, status="OTP_UNDELIVERABLE", message=message)


def in_progress() -> Answer:
    """409: the same key and request is still running."""
    answer = _answer(
        409, error="Request in progress", details="Retry with the same idempotency key"
    )
    return answer.with_headers(Retry_After="1")


def key_reused() -> Answer:
    """422: the idempotency key belongs to a different request."""
    details = "The key belongs to a different request"
    return _answer(422, error="Idempotency key reused", details=details)


def other_key(status: PublicStatus, transaction_id: str) -> Answer:
    """409: the transaction exists under another key; the body shows its present state."""
    return _answer(409, status=status, transaction_id=transaction_id)


def declined(transaction_id: str, reason: DeclineReason) -> Answer:
    """403: declined, finally."""
    return _answer(403, status="DECLINED", transaction_id=transaction_id, reason=reason)


def missing_field(name: str) -> Answer:
    """400: a required field is missing."""
    return _answer(400, error=f"Missing field: {name}")


def invalid_field(name: str, details: str) -> Answer:
    """400: a field breaks its rule."""
    return _answer(400, error=f"Invalid field: {name}", details=details)


def unknown_field(name: str) -> Answer:
    """400: a field that the contract does not define."""
    return _answer(400, error=f"Unknown field: {name}")


def malformed_json() -> Answer:
    """400: not JSON, or not an object."""
    return _answer(400, error="Malformed JSON")


def unauthorized(details: str) -> Answer:
    """401: no token, or a bad one."""
    answer = _answer(401, error="Unauthorized", details=details)
    return answer.with_headers(WWW_Authenticate="Bearer")


def forbidden(scope: str) -> Answer:
    """403: the token lacks the scope."""
    return _answer(403, error="Forbidden", details=f"Scope {scope} required")


def unknown_account(account_id: str) -> Answer:
    """404: no such account, or another user's account: the same body for both."""
    return _answer(404, error=f"Unknown account: {account_id}")


def unknown_payment(transaction_id: str) -> Answer:
    """404: no such payment of this user."""
    return _answer(404, error=f"Unknown payment: {transaction_id}")


def not_subscribed(transaction_id: str) -> Answer:
    """404: the client does not follow this payment."""
    return _answer(404, error=f"Not subscribed: {transaction_id}")


def too_many_requests(retry_after_s: int) -> Answer:
    """429: over a limit."""
    return _answer(429, error="Too many requests").with_headers(Retry_After=str(retry_after_s))


def over_limit(per_minute: int, reset_in_s: float) -> Answer:
    """429 over a rate limit, with the RateLimit draft's headers: none left until the reset."""
    wait_s = max(1, ceil(reset_in_s))
    return too_many_requests(wait_s).with_headers(
        RateLimit_Policy=f'"user";q={per_minute};w=60', RateLimit=f'"user";r=0;t={wait_s}'
    )


def body_too_large() -> Answer:
    """413."""
    return _answer(413, error="Body too large")


def unsupported_media_type() -> Answer:
    """415."""
    return _answer(415, error="Unsupported media type")


def encryption_required() -> Answer:
    """415: this gateway accepts encrypted requests only."""
    details = "Send application/jose, encrypted under a key of /.well-known/e2e-jwks.json"
    return _answer(415, error="Encryption required", details=details)


def not_decrypted() -> Answer:
    """400: the same for every reason why an encrypted request cannot be read or is not accepted."""
    details = "Read the keys again; encrypt for this user and transaction, at most 5 minutes ahead"
    return _answer(400, error="Encrypted request refused", details=details)


def pending(transaction_id: str) -> Answer:
    """202: not decided within the deadline; the payment goes on, `Location` shows its state."""
    answer = _answer(202, status="PENDING", transaction_id=transaction_id)
    return answer.with_headers(Location=f"/payment/{transaction_id}", Retry_After="1")


def unavailable() -> Answer:
    """503: nothing was accepted."""
    return _answer(503, error="Service unavailable").with_headers(Retry_After="1")


def unavailable_at(path: str) -> Answer:
    """503: the service of a public path was not asked."""
    answer = _answer(503, error="Service unavailable", details=f"No service responds at {path}")
    return answer.with_headers(Retry_After="5")


def no_answer_at(path: str) -> Answer:
    """504: the service of a public path was asked and has not replied; it may have acted."""
    details = f"{path} has not replied in time; repeat with the same Idempotency-Key"
    return _answer(504, error="No answer in time", details=details).with_headers(Retry_After="1")
