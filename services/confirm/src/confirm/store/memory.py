"""The memory twin of confirm's tables; it passes the same tests as the PostgreSQL store."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from psycopg.errors import UniqueViolation

from confirm.domain.decision import ReviewCase
from confirm.domain.ledger import Account, Ledger
from confirm.domain.payment import LEGAL, Payment
from payment_schemas.events.confirmation import ConfirmRequested
from payment_schemas.ids import PaymentId, payment_id_of


class Tables(Protocol):
    """A transaction on memory tables."""

    @property
    def own(self) -> defaultdict[str, dict[Any, Any]]:
        """Tables by name."""
        ...

    def schedule(self, table: str, row_id: UUID, due_at: datetime | None) -> None:
        """Set the time when a row is due, and end its lease."""
        ...


class MemoryPayments:
    """Payments, accounts and the ledger in one transaction on memory tables."""

    def __init__(self, tx: Tables) -> None:
        self._tx = tx
        self._payments: dict[PaymentId, Payment] = tx.own["payment"]
        self._accounts: dict[str, Account] = tx.own["account"]
        self._journals: dict[tuple[Any, str], Any] = tx.own["journal"]
        self._reviews: dict[Any, ReviewCase] = tx.own["review_case"]

    async def accounts(self, ids: Collection[str]) -> dict[str, Account]:
        return {name: self._accounts[name] for name in ids if name in self._accounts}

    async def lock_accounts(self, ids: Collection[str]) -> dict[str, Account]:
        return await self.accounts(ids)

    async def open(self, payments: Collection[Payment]) -> None:
        for payment in payments:
            if any(_clash(payment, stored) for stored in self._payments.values()):
                raise UniqueViolation(f"payment {payment.id}")
            self._write(payment)

    def _write(self, payment: Payment) -> None:
        self._payments[payment.id] = payment
        self._tx.schedule("payment", payment.id, payment.due_at)

    async def lock_known(self, requests: Sequence[ConfirmRequested]) -> list[Payment]:
        ids = {payment_id_of(request.user_id, request.transaction_id) for request in requests}
        keys = {(request.user_id, request.idempotency_key) for request in requests}
        return [
            payment
            for name, payment in sorted(self._payments.items())
            if name in ids or (payment.user_id, payment.idempotency_key) in keys
        ]

    async def lock(self, ids: Iterable[PaymentId]) -> dict[PaymentId, Payment]:
        return {name: self._payments[name] for name in sorted(set(ids)) if name in self._payments}

    async def save(self, payments: Collection[Payment]) -> None:
        for payment in payments:
            if not _is_step(self._payments[payment.id], payment):
                raise ValueError(f"no way from {self._payments[payment.id].status}")
            self._write(payment)

    async def post(self, ledger: Ledger) -> None:
        for journal in ledger.journals:
            if (journal.payment_id, journal.kind) in self._journals:
                raise ValueError(f"journal {journal.kind} of {journal.payment_id} is posted")
            self._journals[journal.payment_id, journal.kind] = journal
            self._add_system_account(journal.debit_account, journal.currency)
            self._add_system_account(journal.credit_account, journal.currency)
        for name, delta in ledger.deltas.items():
            self._change_balance(self._accounts[name], delta)

    def _add_system_account(self, name: str, currency: str) -> None:
        minimum = None if name.startswith("equity:") else 0
        self._accounts.setdefault(name, Account(name, None, currency, 0, minimum))

    def _change_balance(self, account: Account, delta: int) -> None:
        balance = account.balance_minor + delta
        if account.minimum_minor is not None and balance < account.minimum_minor:
            raise ValueError(f"{account.id}: balance below its minimum")
        self._accounts[account.id] = replace(account, balance_minor=balance)

    async def open_reviews(self, cases: Sequence[ReviewCase]) -> None:
        for case in cases:
            self._reviews.setdefault(case.payment_id, case)


def _is_step(old: Payment, new: Payment) -> bool:
    if old.status is new.status:
        return old.version == new.version
    return (old.status, new.status) in LEGAL and new.version == old.version + 1


def _clash(one: Payment, other: Payment) -> bool:
    same_user = one.user_id == other.user_id
    return (
        one.id == other.id
        or one.reference == other.reference
        or one.uetr == other.uetr
        or (same_user and one.idempotency_key == other.idempotency_key)
    )
