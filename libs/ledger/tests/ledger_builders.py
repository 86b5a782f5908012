"""Builders of transfers; a test sets only the fields that matter."""

import re
from pathlib import Path
from uuid import UUID

from double_entry.rules import Account, Ledger, Transfer

README = Path(__file__).parents[1] / "README.md"
INTERNAL = ("sales:", "equity:")
FUNDS = 100_00
ACCOUNT = Account("purse-1", "usr-1", "EUR", 0)


def examples(language):
    """The README's examples in a language, in order."""
    fenced = re.compile(rf"^```{language}\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    return fenced.findall(README.read_text())


def load(number=1, amount_minor=FUNDS, account="purse-1", currency="EUR"):
    source = UUID(int=1000 + number)
    return Transfer(source, "LOAD", f"equity:cards:{currency}", account, amount_minor, currency)


def charge(number=1, amount_minor=30_00, account="purse-1", currency="EUR"):
    source = UUID(int=number)
    return Transfer(source, "CHARGE", account, f"sales:{currency}", amount_minor, currency)


async def post(purse, *transfers, locked=("purse-1",)):
    """Lock accounts and post transfers in one transaction."""
    async with purse.stored() as store:
        ledger = Ledger(await store.lock_accounts(locked), INTERNAL)
        for transfer in transfers:
            ledger.post(transfer)
        await store.post(ledger)


async def post_all(purse, ledger):
    async with purse.stored() as store:
        await store.post(ledger)


async def funded(purse):
    async with purse.stored() as store:
        await store.open_accounts([ACCOUNT])
    await post(purse, load())
    return purse


async def balances(purse):
    names = ["purse-1", "purse-2", "sales:EUR", "equity:cards:EUR"]
    async with purse.stored() as store:
        found = await store.accounts(names)
    return {name: account.balance_minor for name, account in found.items()}
