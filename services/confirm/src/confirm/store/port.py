"""What handlers may ask of confirm's tables, within one transaction."""

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from confirm.domain.decision import ReviewCase
from confirm.domain.ledger import Account, Ledger
from confirm.domain.payment import Payment
from payment_schemas.events.confirmation import ConfirmRequested
from payment_schemas.ids import PaymentId


class Payments(Protocol):
    """Payments, accounts and the ledger. Locks come in the order: payments, customers, ours."""

    async def accounts(self, ids: Collection[str]) -> dict[str, Account]:
        """Return the accounts, unlocked: for what does not change, and for advice on funds."""
        ...

    async def open(self, payments: Collection[Payment]) -> None:
        """Insert new payments.

        Raises UniqueViolation where a key, transaction, UETR or reference is taken.
        """
        ...

    async def lock_known(self, requests: Sequence[ConfirmRequested]) -> list[Payment]:
        """Lock and return the payments known by the requests' transactions or keys."""
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
