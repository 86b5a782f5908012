"""Decides a batch of requests; each sees the changes of the requests before it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from confirm.domain.decision import Decision
from confirm.domain.payment import Payment, Policy
from confirm.domain.requests import create, on_request, refusal
from double_entry.rules import Account
from payment_schemas.answers import Answer
from payment_schemas.events.confirmation import ConfirmRequested
from payment_schemas.ids import PaymentId, Uetr, payment_id_of

NO_ACCOUNT = Account("", None, "", 0)


@dataclass(slots=True)
class RequestBatch:
    """The payments of a batch's transactions and keys, updated by each decision."""

    accounts: Mapping[str, Account]
    policy: Policy
    now: datetime
    draw_uetr: Callable[[], Uetr]
    new: dict[PaymentId, Payment] = field(default_factory=dict)
    """Payments to insert."""
    changed: dict[PaymentId, Payment] = field(default_factory=dict)
    """Stored payments to update."""
    _by_id: dict[PaymentId, Payment] = field(default_factory=dict)
    _by_key: dict[tuple[str, str], PaymentId] = field(default_factory=dict)

    def add_stored(self, payments: Iterable[Payment]) -> None:
        """Add the stored payments of the batch's transactions and keys."""
        for payment in payments:
            self._index(payment)

    def decide(self, request: ConfirmRequested) -> Decision | Answer:
        """Decide a request; return only an Answer where it is refused and nothing is stored."""
        key = request.user_id, request.idempotency_key
        payment_id = payment_id_of(request.user_id, request.transaction_id)
        payment = self._by_id.get(self._by_key.get(key, payment_id))
        if payment is None:
            return self._create(request)
        decision = on_request(payment, request, self.policy, self.now)
        if decision.state is not payment:
            written = self.new if payment.id in self.new else self.changed
            written[payment.id] = decision.state
            self._index(decision.state)
        return decision

    def _create(self, request: ConfirmRequested) -> Decision | Answer:
        account = self.accounts.get(request.from_account or "", NO_ACCOUNT)
        if refused := refusal(request, account, self.policy):
            return refused
        decision = create(request, account, self.draw_uetr(), self.policy, self.now)
        self.new[decision.state.id] = decision.state
        self._index(decision.state)
        return decision

    def _index(self, payment: Payment) -> None:
        self._by_id[payment.id] = payment
        self._by_key[payment.user_id, payment.idempotency_key] = payment.id
