"""`countersign reconcile` and `countersign cases`: breaks between the ledger and the banks."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from ops.clients.cases import RESOLUTIONS, case_of, resolve
from ops.clients.cases import reconcile as read_statement
from ops.clients.listings import CASES
from ops.command import completion
from ops.command.output import AsJson, cell, console, print_json, table_of
from ops.command.session import open_system
from ops.command.times import Utc
from ops.domain.errors import REFUSED

RECONCILE_HELP = """Compare a partner's statement of one day with the settlement instructions.

Prints how many transfers match, are missing there, are missing here (or booked twice, on any page
or day) or have another amount. Opens one case for each break, closes cases that the statement
explains, and corrects nothing. Settlement does the same every hour for yesterday, today and days
that it could not read.

\b
Examples:
  countersign reconcile --partner first-bank --date 2026-11-20
  countersign reconcile --partner first-bank --date 2026-11-20 --json | jq .breaks

\b
Exit codes: 0 everything matches; 1 a break was found; 2 wrong usage, or a service did not
respond."""

LIST_HELP = """List cases, oldest first: unresolved ones, or those of a status.

\b
Examples:
  countersign cases list
  countersign cases list --status RESOLVED --json

\b
Exit codes: 0 listed, even if there are none; 2 settlement did not respond."""

SHOW_HELP = """Show all fields of a case.

\b
Examples:
  countersign cases show 1649ffcc-4257-5b1e-bdec-8465d8067f4b

\b
Exit codes: 0 shown; 1 not found; 2 settlement did not respond."""

RESOLVE_HELP = """Resolve a case. A resolution that moves money needs two different people.

SETTLE: the bank has the money. RETURN: the bank never had it, and the customer gets it back. The
first person proposes one of these; it takes effect when a second person approves it within a day.
EXPLAINED closes a case without moving money.

\b
Examples:
  countersign cases resolve 1649ffcc-4257-5b1e-bdec-8465d8067f4b --outcome SETTLE --note "ref B-1"
  countersign --as bob approve 1649ffcc-4257-5b1e-bdec-8465d8067f4b

\b
Exit codes: 0 proposed or resolved; 1 refused; 2 wrong usage, or settlement did not respond."""

CaseId = Annotated[
    str, typer.Argument(metavar="ID", help="The case's id.", autocompletion=completion.cases)
]
_STATUSES = ("OPEN", "PROPOSED", "RESOLVED")
_COUNTS = ("matched", "in_motion", "missing_there", "missing_here", "amount_differs")
_LISTED = ("id", "kind", "partner", "day", "status", "resolution", "proposed_by", "details")

cases = typer.Typer(
    help="Look at breaks in reconciliation, and resolve them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def reconcile(
    context: typer.Context,
    *,
    partner: Annotated[
        str, typer.Option(help="The partner bank.", autocompletion=completion.partners)
    ],
    date: Annotated[
        datetime, typer.Option(formats=["%Y-%m-%d"], help="Day of the statement, in UTC.")
    ],
    as_json: AsJson = False,
) -> None:
    """Compare a statement with the settlement instructions."""
    day = date.replace(tzinfo=UTC).date().isoformat()
    report = read_statement(open_system(context), partner, day)
    if as_json:
        print_json(report)
    else:
        _show_report(report)
    if any(report[name] for name in _COUNTS[2:]):
        raise typer.Exit(REFUSED)


def _show_report(report: Mapping[str, Any]) -> None:
    title, screen = f"{report['partner']}, {report['date']}", console()
    screen.print(table_of(title, ("", ""), [(name, report[name]) for name in _COUNTS]))
    if report["breaks"]:
        columns = ("kind", "uetr", "details", "case_id")
        rows = ([one[name] for name in columns] for one in report["breaks"])
        screen.print()
        screen.print(table_of("Breaks", columns, rows))
    closed = f"{report['cases_closed']} closed, explained by the statement"
    screen.print(f"\n{report['cases_opened']} cases opened, {closed}")


@cases.command("list", help=LIST_HELP)
def list_cases(
    context: typer.Context,
    *,
    status: Annotated[
        str | None,
        typer.Option(help="OPEN, PROPOSED or RESOLVED.", autocompletion=lambda: _STATUSES),
    ] = None,
    limit: Annotated[
        int, typer.Option(min=1, max=1000, help="Maximum number, the oldest first.")
    ] = 100,
    as_json: AsJson = False,
) -> None:
    """List cases."""
    found = open_system(context).rows(CASES, status=status, limit=limit)
    if as_json:
        print_json(found)
    elif found:
        console().print(table_of("", _LISTED, ([one[name] for name in _LISTED] for one in found)))
    else:
        console().print("no cases")


@cases.command("show", help=SHOW_HELP)
def show_case(
    context: typer.Context,
    case_id: CaseId,
    *,
    _utc: Utc = False,
    as_json: AsJson = False,
) -> None:
    """Show a case."""
    found = case_of(open_system(context), case_id)
    if as_json:
        print_json(found)
    else:
        console().print(table_of("", ("", ""), list(found.items())))


@cases.command("resolve", help=RESOLVE_HELP)
def resolve_case(
    context: typer.Context,
    case_id: CaseId,
    *,
    resolution: Annotated[
        str,
        typer.Option(
            "--outcome",
            help="SETTLE, RETURN or EXPLAINED.",
            autocompletion=lambda: list(RESOLUTIONS),
        ),
    ],
    note: Annotated[str, typer.Option(help="The reason; stored with the case, not published.")],
    as_json: AsJson = False,
) -> None:
    """Resolve a case."""
    found = resolve(open_system(context), case_id, resolution, note)
    if as_json:
        print_json(found)
        return
    console().print(cell(f"{found['resolution']}: {found['status']}"))
    if found["status"] == "PROPOSED":
        console().print(cell(f"next, by a second person: `countersign approve {case_id}`"))
