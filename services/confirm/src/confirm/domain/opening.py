"""The opening of one account or of many numbered accounts, each funded by a transfer."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import NAMESPACE_URL, uuid5

from double_entry.rules import Account, Transfer


@dataclass(frozen=True, slots=True)
class Opening:
    """A request to open accounts with the same balance; with `count`, names are numbered."""

    name: str
    owner: str
    balance_minor: int
    currency: str
    count: int | None = None
    first: int = 1
    """The first number; lets many accounts be opened in several requests."""

    def accounts(self) -> list[Account]:
        """Return the accounts, with a balance of zero."""
        if self.count is None:
            return [Account(self.name, self.owner, self.currency, 0)]
        return [
            Account(f"{self.name}-{number:04}", f"{self.owner}-{number:04}", self.currency, 0)
            for number in range(self.first, self.first + self.count)
        ]

    def transfers(self, accounts: Sequence[Account]) -> list[Transfer]:
        """Return the OPEN transfers that fund the accounts from the opening equity account."""
        if not self.balance_minor:
            return []
        return [self._transfer(account) for account in accounts]

    def _transfer(self, account: Account) -> Transfer:
        return Transfer(
            source_id=uuid5(NAMESPACE_URL, f"urn:countersign:opening:{account.id}"),
            kind="OPEN",
            debit_account=f"equity:opening:{self.currency}",
            credit_account=account.id,
            amount_minor=self.balance_minor,
            currency=self.currency,
        )
