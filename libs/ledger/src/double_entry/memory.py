"""The memory twin of the ledger's tables; it passes the same tests as the PostgreSQL store."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import replace
from typing import Any, Protocol
from uuid import UUID

from double_entry.rules import Account, Ledger, Transfer, internal_account


class Tables(Protocol):
    """A transaction on memory tables."""

    @property
    def own(self) -> defaultdict[str, dict[Any, Any]]:
        """Tables by name."""
        ...


class MemoryLedger:
    """The ledger in one transaction on memory tables."""

    def __init__(self, tx: Tables) -> None:
        self._accounts: dict[str, Account] = tx.own["account"]
        self._transfers: dict[tuple[UUID, str], Transfer] = tx.own["transfer"]

    async def accounts(self, ids: Collection[str]) -> dict[str, Account]:
        return {name: self._accounts[name] for name in ids if name in self._accounts}

    async def lock_accounts(self, ids: Collection[str]) -> dict[str, Account]:
        return await self.accounts(ids)

    async def post(self, ledger: Ledger) -> None:
        for transfer in ledger.transfers:
            key = transfer.source_id, transfer.kind
            if key in self._transfers:
                raise ValueError(f"{transfer.kind} of {transfer.source_id} is posted")
            self._transfers[key] = transfer
            for name in ledger.internal_accounts:
                self._accounts.setdefault(name, internal_account(name, transfer.currency))
        self._change_balances(ledger)

    def _change_balances(self, ledger: Ledger) -> None:
        changed: defaultdict[tuple[str, str], int] = defaultdict(int)
        for transfer in ledger.transfers:
            for name, delta in transfer.deltas:
                changed[name, transfer.currency] += delta
        for (name, currency), delta in changed.items():
            account = self._accounts.get(name)
            if account is None or account.currency != currency:
                raise ValueError(f"account {name} is unknown, or has another currency")
            self._accounts[name] = replace(account, balance_minor=account.after(delta))

    async def open_accounts(self, accounts: Collection[Account]) -> set[str]:
        new = {one.id: one for one in accounts if one.id not in self._accounts}
        self._accounts.update(new)
        return set(new)
