"""Opening customers' accounts, with contacts for messages."""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

from ops.clients.addresses import Addresses
from ops.clients.sessions import DEVELOPMENT_OPERATORS, session_of
from ops.clients.system import System
from ops.domain.errors import UnavailableError
from ops.domain.rows import Row
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
    """The number of new accounts and of existing ones, and what waits for a second person."""

    opened: int
    existing: int
    proposals: tuple[Row, ...] = ()


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
    """Open the missing accounts, or propose it, and set the owners' contacts; repeatable."""
    opened = existing = 0
    proposals: list[Row] = []
    for first, count in request.slices():
        found = system.post("confirm", "/admin/accounts", _account_request(request, first, count))
        contacts = [contact_of(owner) for owner in request.owners(first, count)]
        system.post("notification", "/admin/contacts", {"contacts": contacts})
        opened += found.get("opened", 0)
        existing += found.get("existing", 0)
        proposals += [found] if "proposal" in found else []
    return Opened(opened, existing, tuple(proposals))


def open_in_development(addresses: Addresses, requests: Iterable[OpeningRequest]) -> None:
    """Open accounts as the two development operators: one proposes, the other approves."""
    with ExitStack() as stack:
        proposer, approver = (
            stack.enter_context(_acting_as(addresses, name)) for name in DEVELOPMENT_OPERATORS
        )
        for request in requests:
            for one in open_accounts(proposer, request).proposals:
                path = f"/admin/proposals/{one['proposal']}/approve"
                approver.post("confirm", path, {"digest": one["digest"]})


@contextmanager
def _acting_as(addresses: Addresses, operator: str) -> Iterator[System]:
    with (
        closing(session_of(addresses, operator)) as session,
        System(addresses, bearer=session.token) as system,
    ):
        yield system


def _account_request(request: OpeningRequest, first: int, count: int | None) -> dict[str, object]:
    numbered = {} if count is None else {"count": count, "first": first}
    return {
        "name": request.name,
        "owner": request.owner,
        "balance_minor": request.balance_minor,
        "currency": request.currency,
        **numbered,
    }
