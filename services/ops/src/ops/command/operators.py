"""`countersign operators`: the roles of people who operate the system, at identity."""

from typing import Annotated

import typer

from ops.clients.listings import OPERATORS
from ops.command.output import AsJson, cell, console, print_json, table_of
from ops.command.proposals import show_proposed
from ops.command.session import open_system
from payment_schemas.scopes import ROLES

LIST_HELP = """List the operators of identity, with their roles.

\b
Examples:
  countersign operators list
  countersign operators list --json | jq '.operators[] | select(.roles == ["admin"])'

\b
Exit codes: 0 listed, even if there are none; 2 identity did not respond."""

ROLE_HELP = """Propose the roles of another person; a third one approves. No role takes all away.

Needs the scope roles.grant, which admins have. Nobody proposes or approves own roles. The roles
hold at the next sign-in or refresh of the person, 15 minutes later at most.

\b
Examples:
  countersign operators role cs_user_4f0c… viewer
  countersign operators role cs_user_4f0c… operator approver
  countersign operators role cs_user_4f0c…

\b
Exit codes: 0 proposed; 1 refused; 2 unknown user, or identity did not respond."""

_LISTED = ("user", "roles", "disabledAt")

app = typer.Typer(
    help="Look after the roles of operators.", no_args_is_help=True, rich_markup_mode=None
)


@app.command("list", help=LIST_HELP)
def list_operators(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List operators."""
    found = open_system(context).all_rows(OPERATORS)
    if as_json:
        print_json({"operators": found})
    elif found:
        rows = ((one["user"], ", ".join(one["roles"]), one["disabledAt"]) for one in found)
        console().print(table_of("", _LISTED, rows))
    else:
        console().print("nobody has a role at identity")


@app.command("role", help=ROLE_HELP)
def role(
    context: typer.Context,
    user: Annotated[str, typer.Argument(metavar="USER", help="The subject, cs_user_….")],
    roles: Annotated[
        list[str] | None, typer.Argument(metavar="[ROLE]…", help=", ".join(ROLES))
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Propose roles."""
    path = f"/admin/users/{user}/roles"
    proposed = open_system(context).post(OPERATORS.owner, path, {"roles": roles or []})
    if as_json:
        print_json(proposed)
        return
    show_proposed(proposed)
    console().print(cell(f"roles: {', '.join(roles or []) or 'none'}"))
