"""The port to confirm's tables."""

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from confirm.domain.decision import ReviewCase
from confirm.domain.ledger import Account, Ledger
from confirm.domain.payment import Payment
from payment_schemas.events.confirmation import ConfirmRequested
from payment_schemas.ids import PaymentId


class Payments(Protocol):
    """One transaction. Lock order: payments, customer accounts, system accounts."""

    async def accounts(self, ids: Collection[str]) -> dict[str, Account]:
        """Return accounts without locks, for constant fields and the early funds check."""
        ...

    async def open(self, payments: Collection[Payment]) -> None:
        """Insert new payments.

        Raises UniqueViolation where a key, transaction, UETR or reference exists.
        """
        ...

    async def lock_known(self, requests: Sequence[ConfirmRequested]) -> list[Payment]:
        """Lock and return the payments with a transaction or key of the requests."""
        ...

    async def lock(self, ids: Iterable[PaymentId]) -> dict[PaymentId, Payment]:
        """Lock and return payments."""
        ...

    async def lock_accounts(self, ids: Collection[str]) -> dict[str, Account]:
        """Lock and return customer accounts."""
        ...

    async def save(self, payments: Collection[Payment]) -> None:
        """Write changed payments."""
        ...

    async def post(self, ledger: Ledger) -> None:
        """Insert the journals and entries; update each balance once, by its total change."""
        ...

    async def open_reviews(self, cases: Sequence[ReviewCase]) -> None:
        """Insert review cases; skip a payment that has one."""
        ...
