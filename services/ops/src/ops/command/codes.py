"""`countersign codes`: shows and unlocks a user's one-time codes."""

from typing import Annotated

import typer

from ops.command.output import AsJson, cell, console, print_json, table_of
from ops.command.session import open_system

SHOW_HELP = """Show a user's wrong codes in a row, lock, and codes of the last day.

\b
Examples:
  countersign codes show usr-456
  countersign codes show usr-456 --json | jq .locked_at

\b
Exit codes: 0 shown; 2 otp did not respond."""

UNLOCK_HELP = """Unlock a user's codes after too many wrong ones in a row.

First ask the user whether the wrong codes were theirs: an attacker can continue after an unlock.
The audit log records who unlocked, and the user is notified by e-mail.

\b
Examples:
  countersign codes unlock usr-456

\b
Exit codes: 0 unlocked; 1 they were not locked; 2 otp did not respond."""

_LISTED = ("payment_id", "number", "state", "issued_at", "expires_at")

app = typer.Typer(
    help="Look at a user's one-time codes, and unlock them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
User = Annotated[str, typer.Argument(metavar="USER", help="The user's id.")]


@app.command("show", help=SHOW_HELP)
def show_codes(context: typer.Context, user: User, *, as_json: AsJson = False) -> None:
    """Show a user's codes."""
    found = open_system(context).get("otp", "/admin/codes", user_id=user)
    if as_json:
        print_json(found)
        return
    challenges = found.pop("challenges")
    console().print(table_of(f"Codes of {user}", ("", ""), list(found.items())))
    if challenges:
        rows = ([one[name] for name in _LISTED] for one in challenges)
        console().print()
        console().print(table_of("Of the last day", _LISTED, rows))


@app.command("unlock", help=UNLOCK_HELP)
def unlock_codes(context: typer.Context, user: User, *, as_json: AsJson = False) -> None:
    """Unlock a user's codes."""
    found = open_system(context).post("otp", "/admin/codes/unlock", {"user_id": user})
    if as_json:
        print_json(found)
    else:
        wrong = found["wrong_in_a_row"]
        console().print(cell(f"{user} may use codes again, after {wrong} wrong ones in a row"))
