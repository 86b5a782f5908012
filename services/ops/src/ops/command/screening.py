"""`countersign screening`: exceptions from sanctions hits, and what a list says of an entry."""

from datetime import datetime
from typing import Annotated
from urllib.parse import quote

import typer

from ops.clients.listings import EXCEPTIONS
from ops.clients.payments import SCREENING
from ops.command.output import AsJson, cell, console, print_json, table_of
from ops.command.proposals import show_proposed
from ops.command.session import open_system
from ops.domain.screening import state_of

LIST_HELP = """List the exceptions: accounts whose holder is not an entry of a list.

\b
Examples:
  countersign screening exceptions
  countersign screening exceptions --account payee-xyz --json

\b
Exit codes: 0 listed, even if there are none; 2 screening did not respond."""

EXCEPT_HELP = """Propose that the holder of an account is not an entry of a list.

A name that hits this entry, and no other, passes once a second person has approved it, until the
last day. The account, the list and the entry of a hit are in `countersign show`. A listed account
itself cannot be excepted.

\b
Examples:
  countersign screening except payee-xyz DEMO 1002 --until 2027-03-31 --reason "born 1990, not 1971"
  countersign screening except payee-xyz DEMO 1002 --until 2027-03-31 --reason "…" --json

\b
Exit codes: 0 proposed; 1 refused, such as an unknown entry; 2 screening did not respond."""

END_HELP = """End an exception now: the next payment is screened as before. One person may.

\b
Examples:
  countersign screening end 1649ffcc-4257-5b1e-bdec-8465d8067f4b
  countersign screening end 1649ffcc-4257-5b1e-bdec-8465d8067f4b --json

\b
Exit codes: 0 ended; 1 there is none, or it was ended before; 2 screening did not respond."""

ENTRY_HELP = """Show what a list says of an entry: names, dates, countries, programmes.

\b
Examples:
  countersign screening entry DEMO 1002
  countersign screening entry DEMO 1002 --json | jq .birth_dates

\b
Exit codes: 0 shown; 2 unknown, or screening did not respond."""

_LISTED = (
    "id", "state", "account_id", "list_name", "entry_id", "last_day", "proposed_by", "approved_by",
    "reason",
)  # fmt: skip

app = typer.Typer(
    help="Exceptions from hits of the sanctions lists, and the lists' entries.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
ListName = Annotated[str, typer.Argument(metavar="LIST", help="The list, as `show` names it.")]
EntryId = Annotated[str, typer.Argument(metavar="ENTRY", help="The entry's id on that list.")]


@app.command("exceptions", help=LIST_HELP)
def exceptions(
    context: typer.Context,
    *,
    account: Annotated[str | None, typer.Option(help="Of this account alone.")] = None,
    as_json: AsJson = False,
) -> None:
    """List exceptions."""
    found = open_system(context).all_rows(EXCEPTIONS, account_id=account)
    if as_json:
        print_json({"exceptions": found})
    elif found:
        rows = ([({**one, "state": state_of(one)})[name] for name in _LISTED] for one in found)
        console().print(table_of("", _LISTED, rows))
    else:
        console().print("no exceptions")


@app.command("except", help=EXCEPT_HELP)
def propose(  # noqa: PLR0913 - one parameter an option
    context: typer.Context,
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account that was hit.")],
    list_name: ListName,
    entry: EntryId,
    *,
    until: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="The last day, in UTC.")],
    reason: Annotated[str, typer.Option(help="What distinguishes the two.")],
    as_json: AsJson = False,
) -> None:
    """Propose an exception."""
    body = {
        "account_id": account,
        "list": list_name,
        "entry": entry,
        "reason": reason,
        "last_day": until.date().isoformat(),
    }
    proposed = open_system(context).post(SCREENING, EXCEPTIONS.path, body)
    if as_json:
        print_json(proposed)
    else:
        show_proposed(proposed)


@app.command("end", help=END_HELP)
def end(
    context: typer.Context,
    exception_id: Annotated[str, typer.Argument(metavar="ID", help="The exception.")],
    *,
    as_json: AsJson = False,
) -> None:
    """End an exception."""
    path = f"{EXCEPTIONS.path}/{quote(exception_id, safe='')}/end"
    ended = open_system(context).post(SCREENING, path, {})
    if as_json:
        print_json(ended)
    else:
        of = f"{ended['account_id']} and {ended['list_name']} {ended['entry_id']}"
        console().print(cell(f"ended: the exception of {of}"))


@app.command("entry", help=ENTRY_HELP)
def entry(
    context: typer.Context, list_name: ListName, entry_id: EntryId, *, as_json: AsJson = False
) -> None:
    """Show an entry of a list."""
    path = f"/admin/lists/{quote(list_name, safe='')}/entries/{quote(entry_id, safe='')}"
    found = open_system(context).get(SCREENING, path)
    if as_json:
        print_json(found)
    else:
        rows = [
            (name, "; ".join(value) if isinstance(value, list) else value)
            for name, value in found.items()
            if value
        ]
        console().print(table_of("", ("", ""), rows))
