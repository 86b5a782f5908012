"""Opening accounts for customers, with the contacts that messages go to."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from ops.clients.system import System
from ops.domain.errors import NotAskedError
from payment_schemas.money import DECIMALS, amount_minor_of

SLICE = 1000
"""Accounts, or contacts, that one order opens at most."""
MOST = 1_000_000
_PHONE_DIGITS = 7


@dataclass(frozen=True, slots=True)
class OpeningRequest:
    """Accounts to be opened: one, or `count` with numbers behind name and owner."""

    name: str
    owner: str
    balance_minor: int
    currency: str
    count: int | None = None

    def slices(self) -> Iterator[tuple[int, int | None]]:
        """Return the number of the first account, and how many, of each order to send."""
        if self.count is None:
            yield 1, None
            return
        for first in range(1, self.count + 1, SLICE):
            yield first, min(SLICE, self.count + 1 - first)

    def owners(self, first: int, count: int | None) -> list[str]:
        """Return the owners of a slice's accounts."""
        if count is None:
            return [self.owner]
        return [f"{self.owner}-{number:04}" for number in range(first, first + count)]


@dataclass(frozen=True, slots=True)
class Opened:
    """How many accounts are new, and how many were there already."""

    opened: int
    existing: int


def balance_of(text: str, currency: str) -> int:
    """Return a balance in minor units; raise NotAskedError naming what is wrong."""
    if currency not in DECIMALS:
        raise NotAskedError(f"--currency: {currency} is no ISO 4217 code, such as USD")
    try:
        return amount_minor_of(text, currency, positive=False)
    except ValueError as broken:
        raise NotAskedError(f"--balance: {broken}, such as 100") from None


def contact_of(user: str) -> dict[str, str]:
    """Return where messages to a development user go: made up from the id, always the same."""
    number = int.from_bytes(hashlib.sha256(user.encode()).digest()[:8]) % 10**_PHONE_DIGITS
    phone = f"+1555{number:0{_PHONE_DIGITS}}"
    return {"user_id": user, "phone": phone, "email": f"{user}@example.com"}


def open_accounts(system: System, order: OpeningRequest) -> Opened:
    """Open what is not there yet, and set the owners' contacts; repeatable."""
    opened = existing = 0
    for first, count in order.slices():
        found = system.post("confirm", "/admin/accounts", _account_order(order, first, count))
        contacts = [contact_of(owner) for owner in order.owners(first, count)]
        system.post("notification", "/admin/contacts", {"contacts": contacts})
        opened += found["opened"]
        existing += found["existing"]
    return Opened(opened, existing)


def _account_order(order: OpeningRequest, first: int, count: int | None) -> dict[str, object]:
    numbered = {} if count is None else {"count": count, "first": first}
    return {
        "name": order.name,
        "owner": order.owner,
        "balance_minor": order.balance_minor,
        "currency": order.currency,
        **numbered,
    }
