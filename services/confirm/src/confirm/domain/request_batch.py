"""A batch of requests, folded: each is decided on what the ones before it left."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from confirm.domain.decision import Decision
from confirm.domain.ledger import Account
from confirm.domain.payment import Payment, Policy
from confirm.domain.requests import PaymentIdentifiers, create, on_request, refusal
from payment_schemas.answers import Answer
from payment_schemas.events.confirmation import ConfirmRequested
from payment_schemas.ids import PaymentId, RequestId, payment_id_of


@dataclass(slots=True)
class RequestBatch:
    """The payments that a batch speaks of, found by transaction and by key, as they change.

    A payment that the batch itself creates is hidden from earlier requests that are refused: a
    refusal binds nothing, so there was nothing to see when they were made.
    """

    accounts: Mapping[str, Account]
    policy: Policy
    now: datetime
    changed: dict[PaymentId, Payment] = field(default_factory=dict)
    """What must be saved; new payments are stored already."""
    _by_id: dict[PaymentId, Payment] = field(default_factory=dict)
    _by_key: dict[tuple[str, str], PaymentId] = field(default_factory=dict)
    _new: dict[RequestId, Decision] = field(default_factory=dict)

    def candidates(
        self, requests: Iterable[ConfirmRequested], draw: Callable[[], PaymentIdentifiers]
    ) -> list[Decision]:
        """Return what the requests would create, as far as is known yet.

        Of the requests for one transaction, or under one key, the first one counts.
        """
        ids = {payment.id for payment in self._stored()}
        keys = {(payment.user_id, payment.idempotency_key) for payment in self._stored()}
        decisions = []
        for request in requests:
            account, payment_id, key = self._account(request), _id_of(request), _key_of(request)
            if payment_id in ids or key in keys or account is None or self.refusal(request):
                continue
            decisions.append(create(request, account, draw(), self.policy, self.now))
            ids.add(payment_id)
            keys.add(key)
        return decisions

    def learn(self, stored: Iterable[Payment], candidates: Sequence[Decision]) -> None:
        """Note what is stored; a candidate that is among it was new."""
        # What was drawn for it tells it from a payment that another instance has just stored.
        drawn = {decision.state.uetr: decision for decision in candidates}
        for payment in stored:
            if payment.uetr in drawn:
                self._new[payment.request_id] = drawn[payment.uetr]
            elif payment.request_id not in self._new and payment.id not in self._by_id:
                self._show(payment)

    def decide(self, request: ConfirmRequested) -> Decision | None:
        """Decide a request on what the ones before it left; None where nothing is stored for it."""
        new = self._new.pop(request.request_id, None)
        if new is not None:
            self._show(new.state)
            return new
        payment = self._find(request)
        if payment is None:
            return None
        decision = on_request(payment, request, self.policy, self.now)
        if decision.state is not payment:
            self._by_id[payment.id] = self.changed[payment.id] = decision.state
        return decision

    def refusal(self, request: ConfirmRequested) -> Answer | None:
        """Return why a request creates nothing, or None where it could."""
        return refusal(request, self._account(request), self.policy)

    def _account(self, request: ConfirmRequested) -> Account | None:
        return self.accounts.get(request.from_account or "")

    def _find(self, request: ConfirmRequested) -> Payment | None:
        stored = self._by_id.get(self._by_key.get(_key_of(request), _id_of(request)))
        if stored is None and self.refusal(request) is None:
            return self._hidden(request)
        return stored

    def _hidden(self, request: ConfirmRequested) -> Payment | None:
        """Return what a later request has created in place of this one, whose key was taken."""
        for payment in (decision.state for decision in self._new.values()):
            key = payment.user_id, payment.idempotency_key
            if payment.id == _id_of(request) or key == _key_of(request):
                return payment
        return None

    def _show(self, payment: Payment) -> None:
        self._by_id[payment.id] = payment
        self._by_key[payment.user_id, payment.idempotency_key] = payment.id

    def _stored(self) -> Iterator[Payment]:
        yield from self._by_id.values()
        yield from (decision.state for decision in self._new.values())


def _id_of(request: ConfirmRequested) -> PaymentId:
    return payment_id_of(request.user_id, request.transaction_id)


def _key_of(request: ConfirmRequested) -> tuple[str, str]:
    return request.user_id, request.idempotency_key
