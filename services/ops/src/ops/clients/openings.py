"""Opening customers' accounts, with contacts for messages."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from ops.clients.system import System
from ops.domain.errors import UnavailableError
from payment_schemas.money import DECIMALS, amount_minor_of

SLICE = 1000
"""Accounts or contacts of one request."""
MOST = 1_000_000
_PHONE_DIGITS = 7


@dataclass(frozen=True, slots=True)
class OpeningRequest:
    """Accounts to open: one, or `count` with numbers after name and owner."""

    name: str
    owner: str
    balance_minor: int
    currency: str
    count: int | None = None

    def slices(self) -> Iterator[tuple[int, int | None]]:
        """Yield the first number and the count of each request to send."""
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
    """The number of new accounts and of existing ones."""

    opened: int
    existing: int


def balance_of(text: str, currency: str) -> int:
    """Return a balance in minor units; raise UnavailableError for wrong text or currency."""
    if currency not in DECIMALS:
        raise UnavailableError(f"--currency: {currency} is no ISO 4217 code, such as USD")
    try:
        return amount_minor_of(text, currency, positive=False)
    except ValueError as broken:
        raise UnavailableError(f"--balance: {broken}, such as 100") from None


def contact_of(user: str) -> dict[str, str]:
    """Return a development user's contact, derived from the user id."""
    number = int.from_bytes(hashlib.sha256(user.encode()).digest()[:8]) % 10**_PHONE_DIGITS
    phone = f"+1555{number:0{_PHONE_DIGITS}}"
    return {"user_id": user, "phone": phone, "email": f"{user}@example.com"}


def open_accounts(system: System, request: OpeningRequest) -> Opened:
    """Open the missing accounts and set the owners' contacts; repeatable."""
    opened = existing = 0
    for first, count in request.slices():
        found = system.post("confirm", "/admin/accounts", _account_request(request, first, count))
        contacts = [contact_of(owner) for owner in request.owners(first, count)]
        system.post("notification", "/admin/contacts", {"contacts": contacts})
        opened += found["opened"]
        existing += found["existing"]
    return Opened(opened, existing)


def _account_request(request: OpeningRequest, first: int, count: int | None) -> dict[str, object]:
    numbered = {} if count is None else {"count": count, "first": first}
    return {
        "name": request.name,
        "owner": request.owner,
        "balance_minor": request.balance_minor,
        "currency": request.currency,
        **numbered,
    }
