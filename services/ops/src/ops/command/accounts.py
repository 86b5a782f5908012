"""`countersign accounts`: list and open customers' accounts."""

from dataclasses import asdict
from typing import Annotated

import typer

from ops.clients.listings import ACCOUNTS
from ops.clients.openings import MOST, OpeningRequest, balance_of, open_accounts
from ops.command.output import AsJson, console, print_json, table_of
from ops.command.proposals import show_proposed
from ops.command.session import open_system
from ops.domain.amounts import money
from payment_schemas.money import DEFAULT_CURRENCY

LIST_HELP = """List accounts by name, with their balances, internal accounts included.

\b
Examples:
  countersign accounts list
  countersign accounts list --prefix in-flight
  countersign accounts list --prefix load- --limit 1000 --json"""

OPEN_HELP = """Open accounts, and set a generated phone and e-mail for their owners.

With a balance the opening is proposed, and takes effect when a second person approves it. Existing
accounts stay unchanged, so the command can be repeated. With --count the accounts are numbered:
NAME-0001 of USER-0001, and so on.

\b
Examples:
  countersign accounts open acc-9 --owner usr-9 --balance 100000.00
  countersign --as bob approve ID
  countersign accounts open load --owner load --balance 100000.00 --count 2000

\b
Exit codes: 0 opened, proposed, or existing; 1 refused, such as another owner's account; 2 wrong
usage, or a service did not respond."""

app = typer.Typer(help="List and open accounts.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list", help=LIST_HELP)
def list_accounts(
    context: typer.Context,
    *,
    prefix: Annotated[str, typer.Option(help="Only names with this prefix.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Maximum number of rows.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List accounts."""
    found = open_system(context).rows(ACCOUNTS, prefix=prefix, limit=limit)
    if as_json:
        print_json(found)
        return
    rows = (
        (one["id"], one["owner"], money(one["balance_minor"], one["currency"])) for one in found
    )
    console().print(table_of("", ("account", "owner", "balance"), rows))


@app.command("open", help=OPEN_HELP)
def open_some(  # noqa: PLR0913 - one parameter an option
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The account's name.")],
    *,
    owner: Annotated[str, typer.Option(help="The user who owns it.")],
    balance: Annotated[str, typer.Option(help="Opening balance in major units.")] = "0",
    currency: Annotated[str, typer.Option(help="ISO 4217.")] = DEFAULT_CURRENCY,
    count: Annotated[
        int | None, typer.Option(min=1, max=MOST, help="Number of accounts to open, numbered.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Open accounts."""
    request = OpeningRequest(name, owner, balance_of(balance, currency), currency, count)
    found = open_accounts(open_system(context), request)
    if as_json:
        print_json(asdict(found))
        return
    for one in found.proposals:
        show_proposed(one)
    if not found.proposals:
        print(f"opened {found.opened}, existing {found.existing}")
