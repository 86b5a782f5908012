"""`countersign retention`: what the next run would delete, at every owner of state."""

import typer

from ops.command.output import AsJson, console, print_json, table_of
from ops.command.session import open_system

HELP = """List what each table keeps for how long, and what the next run would delete.

A run is every ten minutes. It deletes by the same condition that this list counts by, and logs
what it has deleted (`rows_purged`). Rows of a person under a hold are kept.

\b
Examples:
  countersign retention
  countersign retention --json | jq '.[] | select(.category == "identity")'

\b
Exit codes: 0 listed; 2 a service did not respond."""

_LISTED = ("owner", "table", "category", "keep_days", "due")


def retention(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List what would be deleted."""
    system = open_system(context)
    found = [
        {"owner": owner, **row}
        for owner in system.addresses.owners()
        for row in system.get(owner, "/admin/retention")["tables"]
    ]
    if as_json:
        print_json(found)
    else:
        console().print(table_of("", _LISTED, ([one[name] for name in _LISTED] for one in found)))
