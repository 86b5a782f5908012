"""All errors: `Refused` is definite, `Undecided` asks for the same call again.

Each has `status`, `request_id`, `retry_after_s`, `details` and `body` of its response, if one came.
"""

from typing import Any

from countersign_client.answers import Answer

_NOTHING = Answer(0, {}, {})


class _Text:
    """A field of the body as text; or, without a name, what stands after the colon of `error`."""

    def __init__(self, name: str = "") -> None:
        self._name = name

    def __get__(self, error: "CountersignError", _owner: type) -> str:
        if not self._name:
            return error.answer.text("error").partition(": ")[2]
        return error.answer.text(self._name)


class CountersignError(Exception):
    """An error, with its response.

    `status` (HTTP; None if no response came), `request_id` (for support), `retry_after_s`,
    `details` and `body`.
    """

    def __init__(self, message: str = "", answer: Answer | None = None) -> None:
        self.answer = answer or _NOTHING
        self.status = self.answer.status or None
        self.request_id = self.answer.request_id
        self.retry_after_s = self.answer.retry_after_s
        self.body: dict[str, Any] = dict(self.answer.body)
        about = f" ({self.status}, request {self.request_id})" if answer else ""
        super().__init__((message or _message_of(self.answer)) + about)

    details = _Text("details")


class Refused(CountersignError):  # noqa: N818 - the names are the outcomes of the contract
    """A definite refusal: the same call would be refused again."""


class Declined(Refused):
    """The payment is declined, finally, for a `reason`.

    `insufficient_funds`, `not_permitted`, `otp_exhausted` or `timed_out`.
    """

    reason = _Text("reason")


class InvalidRequest(Refused):
    """A `field` is missing, invalid or unknown. The same transaction may be sent corrected."""

    field = _Text()


class InvalidCode(Refused):
    """The code is wrong, expired or used up. Call again with another one."""


class CodesLocked(Refused):
    """The user has typed too many wrong codes; operators unlock."""


class CodeUndeliverable(Refused):
    """A code is needed, and the user has no contact that may receive it."""


class Unauthorized(Refused):
    """The token is missing or invalid; a provider of tokens was asked again."""


class Forbidden(Refused):
    """The token does not have the scope."""


class UnknownAccount(Refused):
    """The `account` is unknown, or another user's."""

    account = _Text()


class UnknownPayment(Refused):
    """The user has no payment `transaction_id`, or its request was not read yet."""

    transaction_id = _Text()


class NotFound(Refused):
    """There is no such address: the base URL is wrong."""


class KeyReused(Refused):
    """The idempotency key belongs to another request; the next call makes a new one."""


class TransactionConflict(Refused):
    """The transaction belongs to an attempt with other parameters, or whose key is lost."""

    payment_status = _Text("status")


class RequestRejected(Refused):
    """The request is too large (413, 431), or its media type was changed on the way (415)."""


class UnexpectedAnswer(Refused):
    """A response that the contract does not have, such as a proxy's page."""


class Undecided(CountersignError):  # noqa: N818
    """The deadline passed without a definite outcome: call again with the same parameters."""


class ConnectionFailed(Undecided):
    """No response came; the cause is the error of httpx."""


class InProgress(Undecided):
    """An equal request still runs."""


class RateLimited(Undecided):
    """Too many requests of this user, or too many codes."""


class Unavailable(Undecided):
    """The gateway, or a server on the way, failed."""


class StillPending(Undecided):
    """The payment is not final yet; `payment_status` is its last known state."""

    payment_status = _Text("status")


class EncryptionRequired(Refused):
    """The gateway accepts encrypted requests alone: `encryption=True`."""


class EncryptionRefused(Refused):
    """The encrypted request was not accepted, also under keys that were just read.

    The clock may be wrong by minutes, or the request is for another user.
    """


_BY_WORDS: dict[tuple[int, str], type[CountersignError]] = {
    (400, "Encrypted request refused"): EncryptionRefused,
    (401, "Invalid OTP"): InvalidCode,
    (401, "Unauthorized"): Unauthorized,
    (403, "DECLINED"): Declined,
    (403, "OTP_UNDELIVERABLE"): CodeUndeliverable,
    (403, "Codes locked"): CodesLocked,
    (403, "Forbidden"): Forbidden,
    (404, "Unknown account"): UnknownAccount,
    (404, "Unknown payment"): UnknownPayment,
    (404, "Not found"): NotFound,
    (409, "Request in progress"): InProgress,
    (415, "Encryption required"): EncryptionRequired,
    (422, "Idempotency key reused"): KeyReused,
}
_BY_STATUS: dict[int, type[CountersignError]] = {
    400: InvalidRequest,
    408: Unavailable,
    409: TransactionConflict,
    413: RequestRejected,
    415: RequestRejected,
    429: RateLimited,
    431: RequestRejected,
}


def error_of(answer: Answer) -> CountersignError:
    """Return the error that a response tells of."""
    words = answer.text("status") or answer.text("error").partition(": ")[0]
    kind = _BY_WORDS.get((answer.status, words)) or _BY_STATUS.get(answer.status)
    if kind is None:
        kind = Unavailable if answer.status >= 500 else UnexpectedAnswer
    return kind(answer=answer)


def _message_of(answer: Answer) -> str:
    """Return the response's own words."""
    names = ("error", "details", "status", "message", "reason")
    words = [answer.text(name) for name in names]
    return ": ".join(word for word in words if word) or "a response that the contract does not have"
