"""`countersign proposals` and `countersign approve`: acts that need two people."""

from typing import Annotated

import typer

from ops.clients.proposals import approve, content_of, waiting
from ops.command import completion
from ops.command.output import AsJson, cell, console, print_json, table_of
from ops.command.session import open_system
from ops.domain.rows import Row

LIST_HELP = """List the acts that wait for a second person, or show one with its content.

Opening balances, changed contacts, SETTLE and RETURN, redrives above one message, rules and
exceptions from sanctions hits take effect when another person approves them, within a day. The
audit log records who read a content.

\b
Examples:
  countersign proposals
  countersign proposals 1649ffcc-4257-5b1e-bdec-8465d8067f4b

\b
Exit codes: 0 listed or shown; 1 not found; 2 a service did not respond."""

APPROVE_HELP = """Approve what another person has proposed: it takes effect at once.

\b
Examples:
  countersign approve 1649ffcc-4257-5b1e-bdec-8465d8067f4b
  countersign proposals --json | jq -r .[].proposal

\b
Exit codes: 0 done; 1 refused, such as your own proposal; 2 a service did not respond."""

Id = Annotated[
    str, typer.Argument(metavar="ID", help="A proposal.", autocompletion=completion.proposals)
]
OptionalId = Annotated[
    str | None,
    typer.Argument(metavar="[ID]", help="A proposal.", autocompletion=completion.proposals),
]
_LISTED = ("proposal", "act", "about", "proposed_by", "proposed_at", "expires_at")


def proposals(
    context: typer.Context, proposal_id: OptionalId = None, *, as_json: AsJson = False
) -> None:
    """List proposals, or show one."""
    system = open_system(context)
    if proposal_id is not None:
        found = content_of(system, proposal_id)
        if as_json:
            print_json(found)
        else:
            console().print(table_of("", ("", ""), list(found.items())))
        return
    listed = waiting(system)
    if as_json:
        print_json(listed)
    elif listed:
        rows = ([one[name] for name in _LISTED] for one in listed)
        console().print(table_of("", _LISTED, rows))
    else:
        console().print("no proposals")


def approve_one(context: typer.Context, proposal_id: Id, *, as_json: AsJson = False) -> None:
    """Approve a proposal."""
    done = approve(open_system(context), proposal_id)
    if as_json:
        print_json(done)
    else:
        console().print(cell(f"done: {done['act']} of {done['about']}"))


def show_proposed(found: Row) -> None:
    """Print what a second person has to do."""
    console().print(
        cell(f"proposed: {found['act']} of {found['about']}, until {found['expires_at']}")
    )
    console().print(cell(f"next, by a second person: `countersign approve {found['proposal']}`"))
