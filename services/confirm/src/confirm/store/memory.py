"""The memory twin of confirm's tables; it passes the same tests as the PostgreSQL store."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from psycopg.errors import UniqueViolation

from confirm.domain.decision import ReviewCase
from confirm.domain.encrypted import TokenUse
from confirm.domain.payment import FINAL, LEGAL, Payment
from confirm.store.port import UNFINISHED
from double_entry.memory import MemoryLedger
from double_entry.memory import Tables as LedgerTables
from double_entry.rules import Account
from payment_schemas.events.confirmation import ConfirmRequested
from payment_schemas.ids import PaymentId, payment_id_of


class Tables(LedgerTables, Protocol):
    """A transaction on memory tables."""

    def schedule(self, table: str, row_id: UUID, due_at: datetime | None) -> None:
        """Set the time when a row is due, and end its lease."""
        ...


SETTLEMENT = {"settlement_status", "settlement_version", "updated_at"}
"""Fields of a decided payment that may change."""
OVER = ("NONE", "SETTLED", "REJECTED")
"""Statuses of a decided payment's settlement that never change."""


class MemoryPayments(MemoryLedger):
    """Payments, accounts and the ledger in one transaction on memory tables."""

    def __init__(self, tx: Tables) -> None:
        super().__init__(tx)
        self._tx = tx
        self._payments: dict[PaymentId, Payment] = tx.own["payment"]
        self._uses: dict[tuple[str, str], TokenUse] = tx.own["request_token"]
        self._reviews: dict[Any, ReviewCase] = tx.own["review_case"]

    async def claim_uses(self, uses: Sequence[TokenUse]) -> set[TokenUse]:
        return {
            use for use in uses if self._uses.setdefault((use.user_id, use.token_id), use) != use
        }

    async def open(self, payments: Collection[Payment]) -> None:
        for payment in payments:
            if any(_clash(payment, stored) for stored in self._payments.values()):
                raise UniqueViolation(f"payment {payment.id}")
            self._write(payment)

    def _write(self, payment: Payment) -> None:
        self._payments[payment.id] = payment
        self._tx.own[UNFINISHED][payment.id] = payment.id
        self._tx.schedule(UNFINISHED, payment.id, payment.due_at)

    async def lock_known(self, requests: Sequence[ConfirmRequested]) -> list[Payment]:
        ids = {payment_id_of(request.user_id, request.transaction_id) for request in requests}
        keys = {(request.user_id, request.idempotency_key) for request in requests}
        return [
            payment
            for name, payment in sorted(self._payments.items())
            if name in ids or (payment.user_id, payment.idempotency_key) in keys
        ]

    async def lock(
        self, ids: Iterable[PaymentId], *, with_payers: bool = False
    ) -> tuple[dict[PaymentId, Payment], dict[str, Account]]:
        known = sorted(set(ids) & self._payments.keys())
        states = {name: self._payments[name] for name in known}
        payers = {one.from_account for one in states.values()} if with_payers else set()
        return states, await self.lock_accounts(payers)

    async def save(self, payments: Collection[Payment]) -> None:
        for payment in payments:
            if not _is_step(self._payments[payment.id], payment):
                raise ValueError(f"no way from {self._payments[payment.id].status}")
            self._write(payment)

    async def open_reviews(self, cases: Sequence[ReviewCase]) -> None:
        for case in cases:
            self._reviews.setdefault(case.payment_id, case)


def _is_step(old: Payment, new: Payment) -> bool:
    if new.settlement_version < old.settlement_version:
        return False
    if old.status in FINAL:
        changed = {
            one.name for one in fields(old) if getattr(old, one.name) != getattr(new, one.name)
        }
        return old.settlement_status not in OVER and changed <= SETTLEMENT
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
