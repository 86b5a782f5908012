"""What both card providers share: payments with their refunds, and idempotency keys."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from fastapi.responses import Response
from pydantic import BaseModel, ValidationError

from mocks.bodies import Refused
from service_runtime.web import JsonResponse

MOST_KEPT = 100_000
SOFT, HARD, PENDING = "tok_soft", "tok_hard", "tok_pending"
"""Sources that begin so are declined at each provider, or decided later; `tok_soft_stripe`, for
instance, is declined by that provider alone."""


@dataclass(slots=True)
class Payment:
    """A payment as its provider keeps it."""

    id: str
    reference: str
    amount_minor: int
    currency: str
    status: str
    fields: dict[str, Any] = field(default_factory=dict)
    refunds: dict[str, int] = field(default_factory=dict)
    """Our reference → minor units; a reference is refunded once."""

    @property
    def left_minor(self) -> int:
        """What may still be refunded."""
        return self.amount_minor - sum(self.refunds.values())


class Payments:
    """Payments by id and by our reference; the oldest are forgotten beyond MOST_KEPT."""

    def __init__(self) -> None:
        self._by_id: OrderedDict[str, Payment] = OrderedDict()
        self._ids: dict[str, str] = {}

    def add(self, payment: Payment) -> Payment:
        """Add a payment."""
        self._by_id[payment.id] = payment
        self._ids[payment.reference] = payment.id
        if len(self._by_id) > MOST_KEPT:
            _, oldest = self._by_id.popitem(last=False)
            self._ids.pop(oldest.reference, None)
        return payment

    def found(self, payment_id: str) -> Payment | None:
        """Return a payment by its id."""
        return self._by_id.get(payment_id)

    def of_reference(self, reference: str) -> Payment | None:
        """Return a payment by our reference."""
        return self._by_id.get(self._ids.get(reference, ""))

    def all(self) -> list[Payment]:
        """Return every payment, for tests and people."""
        return list(self._by_id.values())


@dataclass(frozen=True, slots=True)
class StoredCard:
    """A card as its provider keeps it: what it does, and what may be shown."""

    id: str
    source: str
    """How a charge of it ends: one of the sources above, or "tok_test"."""
    last4: str
    has_code: bool
    """Whether its verification code came with it."""


class DisputeRequest(BaseModel):
    """A dispute to report, by tests and people; the amount is in minor units."""

    reference: str
    status: str
    amount: int | None = None

    @classmethod
    def of(cls, body: bytes) -> Self:
        """Parse a body. Raises Refused, 400, with the fields that are wrong."""
        try:
            return cls.model_validate_json(body)
        except ValidationError as error:
            wrong = error.errors(include_url=False, include_context=False, include_input=False)
            raise Refused(400, {"error": "Invalid request", "details": str(wrong)}) from None


class StoredCards:
    """Cards by the provider's token; numbers are not kept."""

    BEHAVIOURS: ClassVar = {"4000000000000002": SOFT, "4000000000009979": HARD}
    """Numbers of Stripe's documentation that are declined."""
    REFUSED: ClassVar = "4000000000000069"
    """Refused at once, as expired."""

    def __init__(self) -> None:
        self._by_id: OrderedDict[str, StoredCard] = OrderedDict()

    def add(self, token: str, number: str, *, has_code: bool) -> StoredCard | None:
        """Store a card; None where it is refused."""
        if number == self.REFUSED:
            return None
        source = self.BEHAVIOURS.get(number, "tok_test")
        self._by_id[token] = StoredCard(token, source, number[-4:], has_code)
        if len(self._by_id) > MOST_KEPT:
            self._by_id.popitem(last=False)
        return self._by_id[token]

    def remove(self, token: str) -> bool:
        """Delete a card; return whether there was one."""
        return self._by_id.pop(token, None) is not None

    def source(self, token: str) -> str:
        """Return how a charge of a token ends; other tokens are sources themselves."""
        card = self._by_id.get(token)
        return card.source if card else token

    def shown(self) -> dict[str, Any]:
        """Return every card, for tests and people."""
        return {
            "cards": [
                {"id": one.id, "last4": one.last4, "has_code": one.has_code}
                for one in self._by_id.values()
            ]
        }


def is_declined(source: str, kind: str, provider: str) -> bool:
    """Return whether a source is declined here: everywhere, or by this provider alone."""
    return source in {kind, f"{kind}_{provider}"}


class Keys:
    """Idempotency keys: a repeat of a request gets its first response."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[bytes, int, Any]] = OrderedDict()

    def run(self, key: str | None, content: bytes, act: Callable[[], tuple[int, Any]]) -> Response:
        """Return the first response of the key; raises Refused (400) for another request."""
        digest = hashlib.sha256(content).digest()
        if key is not None and key in self._kept:
            kept, status, body = self._kept[key]
            if kept != digest:
                raise Refused(400, {"error": {"type": "idempotency_error"}, "errorCode": "704"})
            return JsonResponse(body, status)
        status, body = act()
        if key is not None:
            self._kept[key] = digest, status, body
            if len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return JsonResponse(body, status)
