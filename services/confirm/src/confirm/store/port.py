"""The port to confirm's tables."""

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from confirm.domain.decision import ReviewCase
from confirm.domain.encrypted import TokenUse
from confirm.domain.payment import Payment
from double_entry.rules import Account
from double_entry.store import LedgerStore
from payment_schemas.events.confirmation import ConfirmRequested
from payment_schemas.ids import PaymentId

UNFINISHED = "unfinished_payment"
"""The work table of the deadlines: the ids of payments that are not over."""


class Payments(LedgerStore, Protocol):
    """One transaction. Lock order: payments, then the ledger's accounts."""

    async def claim_uses(self, uses: Sequence[TokenUse]) -> set[TokenUse]:
        """Store the uses of encryptions; return those whose encryption has another use."""
        ...

    async def open(self, payments: Collection[Payment]) -> None:
        """Insert new payments.

        Raises UniqueViolation where a key, transaction, UETR or reference exists.
        """
        ...

    async def lock_known(self, requests: Sequence[ConfirmRequested]) -> list[Payment]:
        """Lock and return the payments with a transaction or key of the requests."""
        ...

    async def lock(
        self, ids: Iterable[PaymentId], *, with_payers: bool = False
    ) -> tuple[dict[PaymentId, Payment], dict[str, Account]]:
        """Lock and return payments, then, on demand, their payers' accounts."""
        ...

    async def save(self, payments: Collection[Payment]) -> None:
        """Write changed payments."""
        ...

    async def open_reviews(self, cases: Sequence[ReviewCase]) -> None:
        """Insert review cases; skip a payment that has one."""
        ...
