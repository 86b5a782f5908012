"""`countersign kyc`: identity checks, and what a person decides about them."""

from typing import Annotated

import typer

from ops.clients import identity_checks
from ops.command.output import AsJson, cell, console, print_json, table_of
from ops.command.session import open_system
from service_runtime.clock import SystemClock

LIST_HELP = """List identity checks in a state, by user; without one, those that wait for a person.

\b
Examples:
  countersign kyc list
  countersign kyc list --state VERIFIED --json | jq '.reviews[].user_id'

\b
Exit codes: 0 listed, even if there are none; 2 the service did not respond."""

SHOW_HELP = """Show what a person has stated, and the documents without what they show.

The read is kept in the audit log. The console shows the documents.

\b
Examples:
  countersign kyc show usr-456
  countersign kyc show usr-456 --json | jq .documents

\b
Exit codes: 0 shown; 1 unknown, or erased; 2 the service did not respond."""

DECIDE_HELP = """Decide about a round that waits for a person.

The reason is kept in the audit log, so it names no personal data. Needs the scope compliance.write.

\b
Examples:
  countersign kyc decide usr-456 VERIFIED --reason "passport seen, the name is written as there"
  countersign kyc decide usr-456 REJECTED --reason "the picture is not the person's"

\b
Exit codes: 0 decided; 1 refused, such as a round that waits for nobody; 2 the service did not
respond."""

app = typer.Typer(
    help="Identity checks that wait for a person.", no_args_is_help=True, rich_markup_mode=None
)
User = Annotated[str, typer.Argument(metavar="USER", help="The user's id.")]
_COLUMNS = ("user_id", "state", "level", "round", "verified_until", "updated_at")


@app.command("list", help=LIST_HELP)
def list_checks(
    context: typer.Context,
    *,
    state: Annotated[str, typer.Option(help=", ".join(identity_checks.STATES))] = "",
    after: Annotated[str | None, typer.Option(help="The cursor of the next page.")] = None,
    as_json: AsJson = False,
) -> None:
    """List identity checks."""
    found = identity_checks.listed(open_system(context), state, after)
    if as_json:
        print_json(found)
        return
    rows = [tuple(one[name] for name in _COLUMNS) for one in found["reviews"]]
    columns = ("user", "state", "level", "round", "verified until", "changed")
    console().print(table_of("", columns, rows))
    if found["next"]:
        console().print(cell(f"next page: --after {found['next']}"))


@app.command("show", help=SHOW_HELP)
def show(context: typer.Context, user: User, *, as_json: AsJson = False) -> None:
    """Show a person's identity check."""
    found = identity_checks.of_user(open_system(context), user)
    if as_json:
        print_json(found)
        return
    parts = found["identity"] | found["address"]
    own = {name: value for name, value in found.items() if not isinstance(value, dict | list)}
    console().print(table_of("", ("", ""), list((own | parts).items())))
    documents = [(one["documentId"], one["type"], one["expiresOn"]) for one in found["documents"]]
    console().print(table_of("Documents", ("document", "type", "expires"), documents))


@app.command("decide", help=DECIDE_HELP)
def decide(
    context: typer.Context,
    user: User,
    decision: Annotated[str, typer.Argument(help=" or ".join(identity_checks.DECISIONS))],
    *,
    reason: Annotated[str, typer.Option(help="Why, without personal data.")],
    as_json: AsJson = False,
) -> None:
    """Decide about a person's identity check."""
    key = str(SystemClock().new_id())
    done = identity_checks.decide(open_system(context), user, decision, reason, key)
    if as_json:
        print_json(done)
    else:
        console().print(cell(f"{done['userId']}: {done['status']}"))
