"""What a payment provider says of a payment or a refund, in the terms that all providers share."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """The kind of a provider's reply, of a webhook, or of none."""

    AUTHORIZED = "AUTHORIZED"
    CAPTURED = "CAPTURED"
    CANCELLED = "CANCELLED"
    DECLINED = "DECLINED"
    REFUNDED = "REFUNDED"
    PENDING = "PENDING"
    """Accepted; the provider decides later."""
    NOT_FOUND = "NOT_FOUND"
    """Nothing is known under the reference; a request may still be under way."""
    REFUSED = "REFUSED"
    """The provider refused the request itself (4xx) and did nothing."""
    NO_ANSWER = "NO_ANSWER"
    """A timeout, a reset, a 5xx or an unreadable body: the provider may have acted."""
    NOT_SENT = "NOT_SENT"
    """No request left: the breaker is open, no connection was made, or a limit was reached."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A provider's reply; `reference` is the provider's own id of the payment."""

    kind: Kind
    code: str | None = None
    """Why it was declined or refused: a code of `declines`, or of this module's callers."""
    is_soft: bool = False
    """Of a decline: another provider may accept the same charge."""
    reference: str | None = None
