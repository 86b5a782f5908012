"""The port to confirm's tables, within one transaction."""

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from confirm.domain.decision import ReviewCase
from confirm.domain.ledger import Account, Ledger
from confirm.domain.payment import Payment
from payment_schemas.events.confirmation import ConfirmRequested
from payment_schemas.ids import PaymentId


class Payments(Protocol):
    """Payments, accounts and the ledger. Lock order: payments, customers, system accounts."""

    async def accounts(self, ids: Collection[str]) -> dict[str, Account]:
        """Return the accounts without locks: for constant fields and early funds checks."""
        ...

    async def open(self, payments: Collection[Payment]) -> None:
        """Insert new payments.

        Raises UniqueViolation where a key, transaction, UETR or reference is taken.
        """
        ...

    async def lock_known(self, requests: Sequence[ConfirmRequested]) -> list[Payment]:
        """Lock and return the payments with the requests' transactions or keys."""
        ...

    async def lock(self, ids: Iterable[PaymentId]) -> dict[PaymentId, Payment]:
        """Lock and return payments."""
        ...

    async def lock_accounts(self, ids: Collection[str]) -> dict[str, Account]:
        """Lock and return customers' accounts."""
        ...

    async def save(self, payments: Collection[Payment]) -> None:
        """Write changed payments."""
        ...

    async def post(self, ledger: Ledger) -> None:
        """Write the journals, their entries, and one summed change a balance."""
        ...

    async def open_reviews(self, cases: Sequence[ReviewCase]) -> None:
        """Write review cases; a payment has one at most."""
        ...
