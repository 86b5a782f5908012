"""Accounts, transfers between them, and a batch of transfers: pure rules."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from uuid import UUID

UNLIMITED = "equity:"
"""Internal accounts with this prefix have no lower limit: their money comes from outside."""


@dataclass(frozen=True, slots=True)
class Account:
    """A customer's account, or an internal account (`owner` is None)."""

    id: str
    owner: str | None
    currency: str
    balance_minor: int
    minimum_minor: int | None = 0
    """None: no lower limit."""

    def after(self, delta_minor: int) -> int:
        """Return the balance after a change; raise ValueError below the minimum."""
        balance = self.balance_minor + delta_minor
        if self.minimum_minor is not None and balance < self.minimum_minor:
            raise ValueError(f"{self.id}: balance below its minimum")
        return balance


def internal_account(name: str, currency: str) -> Account:
    """Return a new internal account."""
    return Account(name, None, currency, 0, None if name.startswith(UNLIMITED) else 0)


@dataclass(frozen=True, slots=True)
class Transfer:
    """Money from one account to another; balanced, because it is one amount.

    A source (a payment, an order) has at most one transfer of each kind.
    """

    source_id: UUID
    kind: str
    debit_account: str
    """Its balance falls."""
    credit_account: str
    """Its balance rises."""
    amount_minor: int
    currency: str

    def __post_init__(self) -> None:
        if self.amount_minor <= 0:
            raise ValueError(f"{self.kind} of {self.source_id}: amount_minor must be positive")
        if self.debit_account == self.credit_account:
            raise ValueError(f"{self.kind} of {self.source_id}: must name two accounts")

    @property
    def deltas(self) -> tuple[tuple[str, int], tuple[str, int]]:
        """Both accounts, each with the change of its balance in minor units."""
        return (self.debit_account, -self.amount_minor), (self.credit_account, self.amount_minor)


@dataclass(slots=True)
class Ledger:
    """The transfers of one transaction; a funds check includes the earlier ones."""

    accounts: Mapping[str, Account]
    """Locked accounts. Every other account of a transfer must be internal."""
    internal: tuple[str, ...] = ()
    """Prefixes of the names of internal accounts, which are opened at their first transfer."""
    transfers: list[Transfer] = field(default_factory=list)
    _deltas: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))

    def covers(self, account_id: str, amount_minor: int, currency: str) -> bool:
        """Return whether an account can pay an amount now; False for an unknown account."""
        account = self.accounts.get(account_id)
        if account is None or account.currency != currency:
            return False
        balance = account.balance_minor + self._deltas[account_id] - amount_minor
        return account.minimum_minor is None or balance >= account.minimum_minor

    def post(self, transfer: Transfer) -> None:
        """Add a transfer. Raises ValueError for an account that is neither locked nor internal."""
        for name, delta in transfer.deltas:
            if name not in self.accounts and not name.startswith(self.internal):
                raise ValueError(f"account {name} is neither locked nor internal")
            self._deltas[name] += delta
        self.transfers.append(transfer)

    @property
    def internal_accounts(self) -> list[str]:
        """Names of the internal accounts of the transfers, sorted."""
        return sorted(self._deltas.keys() - self.accounts.keys())


def faults_of(accounts: Collection[Account], transfers: Iterable[Transfer]) -> Iterator[str]:
    """Yield the faults of a whole ledger: the rules that `LedgerCheck` applies in SQL."""
    sums = Counter[tuple[str, str]]()
    for transfer in transfers:
        for name, delta in transfer.deltas:
            sums[name, transfer.currency] += delta
    totals = Counter[str]()
    for account in accounts:
        totals[account.currency] += account.balance_minor
        posted = sums.pop((account.id, account.currency), 0)
        if posted != account.balance_minor:
            yield f"{account.id}: {account.balance_minor}, but its transfers sum to {posted}"
    yield from (f"{name}: a transfer in {currency}" for name, currency in sums)
    yield from (f"balances in {one} sum to {total}" for one, total in totals.items() if total)
