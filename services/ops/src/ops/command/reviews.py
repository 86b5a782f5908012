"""`countersign reviews`: review cases of compliance, and drafts of reports to FinCEN."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ops.clients.reviews import OUTCOMES, act, draft_of, queue, review_of
from ops.command.output import AsJson, cell, console, print_json, table_of
from ops.command.proposals import show_proposed
from ops.command.session import open_system
from ops.command.times import Utc
from ops.domain.amounts import money
from ops.domain.rows import Row

HELP = """Review cases: payments that people must look at, by deadline.

Needs the scopes reviews.read and reviews.write. Each look and each act is in the audit log."""

LIST_HELP = """List undecided cases, those due first, or cases of a state or kind.

\b
Examples:
  countersign reviews list
  countersign reviews list --state CLOSED --kind CTR --json

\b
Exit codes: 0 listed, even if there are none; 2 compliance did not respond."""

SHOW_HELP = """Show a case with its evidence, notes and what people did.

\b
Examples:
  countersign reviews show 1649ffcc-4257-5b1e-bdec-8465d8067f4b

\b
Exit codes: 0 shown; 1 not found; 2 compliance did not respond."""

ASSIGN_HELP = """Take a case, or give it to somebody.

\b
Examples:
  countersign reviews assign 1649ffcc-4257-5b1e-bdec-8465d8067f4b

\b
Exit codes: 0 done; 1 refused; 2 compliance did not respond."""

ESCALATE_HELP = """Escalate a case.

\b
Examples:
  countersign reviews escalate 1649ffcc-4257-5b1e-bdec-8465d8067f4b --note "Needs the MLRO"

\b
Exit codes: 0 done; 1 refused; 2 compliance did not respond."""

NOTE_HELP = """Add a note to a case; it becomes part of a draft's narrative.

\b
Examples:
  countersign reviews note 1649ffcc-4257-5b1e-bdec-8465d8067f4b --note "Paid by a third party"

\b
Exit codes: 0 done; 1 refused; 2 compliance did not respond."""

SUSPECT_HELP = """Say whether a suspect is identified: without one there are 60 days instead of 30.

\b
Examples:
  countersign reviews suspect 1649ffcc-4257-5b1e-bdec-8465d8067f4b --unknown --note "Taken over"

\b
Exit codes: 0 done; 1 refused; 2 compliance did not respond."""

CLOSE_HELP = """Propose how a case ends: FILED or NOT_SUSPICIOUS. A second person approves it.

\b
Examples:
  countersign reviews close 1649ffcc-4257-5b1e-bdec-8465d8067f4b --outcome FILED --note "Filed"

\b
Exit codes: 0 proposed; 1 refused; 2 compliance did not respond."""

DRAFT_HELP = """Write the draft of a case's report as FinCEN's batch XML. Nothing is sent anywhere.

\b
Examples:
  countersign reviews draft 1649ffcc-4257-5b1e-bdec-8465d8067f4b --to sar.xml

\b
Exit codes: 0 written; 1 refused; 2 compliance did not respond."""

app = typer.Typer(help=HELP, no_args_is_help=True)
CaseId = Annotated[str, typer.Argument(metavar="ID", help="A review case.")]
Note = Annotated[str, typer.Option(help="The reason, or the note; kept with the case.")]
_LISTED = ("id", "kind", "user_id", "state", "due_on", "assignee", "payments", "amount")
_SHOWN = (
    "id", "kind", "user_id", "business_day", "state", "outcome", "due_on", "suspect_known",
    "assignee", "detected_at", "opened_at", "closed_at", "version",
)  # fmt: skip
_EVIDENCE = (
    "transaction_id", "at", "amount", "account", "payee", "instrument", "branch", "score",
    "reasons", "check_id",
)  # fmt: skip
_ENTRIES = ("at", "by", "act", "text")


@app.command("list", help=LIST_HELP)
def list_reviews(
    context: typer.Context,
    *,
    state: Annotated[str | None, typer.Option(help="OPEN, ASSIGNED, ESCALATED or CLOSED.")] = None,
    kind: Annotated[str | None, typer.Option(help="SAR or CTR.")] = None,
    after: Annotated[str | None, typer.Option(help="The cursor of the next page.")] = None,
    as_json: AsJson = False,
) -> None:
    """List cases."""
    found = queue(open_system(context), state=state, kind=kind, after=after)
    if as_json:
        print_json(found)
        return
    if not found["reviews"]:
        console().print("no review cases")
        return
    rows = ([_with_amount(one)[name] for name in _LISTED] for one in found["reviews"])
    console().print(table_of("", _LISTED, rows))
    if found["next"]:
        console().print(cell(f"more: --after {found['next']}"))


@app.command("show", help=SHOW_HELP)
def show_review(
    context: typer.Context, case_id: CaseId, *, _utc: Utc = False, as_json: AsJson = False
) -> None:
    """Show a case."""
    found = review_of(open_system(context), case_id)
    if as_json:
        print_json(found)
        return
    screen = console()
    screen.print(table_of("", ("", ""), [(name, found[name]) for name in _SHOWN]))
    evidence = ([_with_amount(one)[name] for name in _EVIDENCE] for one in found["evidence"])
    screen.print(table_of("Evidence", _EVIDENCE, evidence))
    entries = ([one[name] for name in _ENTRIES] for one in found["entries"])
    screen.print(table_of("Entries", _ENTRIES, entries))


@app.command("assign", help=ASSIGN_HELP)
def assign(
    context: typer.Context,
    case_id: CaseId,
    *,
    to: Annotated[str | None, typer.Option(help="Somebody else: issuer|subject.")] = None,
) -> None:
    """Assign a case."""
    _done(act(open_system(context), case_id, "assign", {"assignee": to} if to else {}))


@app.command("escalate", help=ESCALATE_HELP)
def escalate(context: typer.Context, case_id: CaseId, *, note: Note) -> None:
    """Escalate a case."""
    _done(act(open_system(context), case_id, "escalate", {"text": note}))


@app.command("note", help=NOTE_HELP)
def add_note(context: typer.Context, case_id: CaseId, *, note: Note) -> None:
    """Add a note."""
    _done(act(open_system(context), case_id, "notes", {"text": note}))


@app.command("suspect", help=SUSPECT_HELP)
def suspect(
    context: typer.Context,
    case_id: CaseId,
    *,
    known: Annotated[bool, typer.Option("--known/--unknown", help="Identified, or not.")],
    note: Note,
) -> None:
    """Say whether a suspect is identified."""
    _done(act(open_system(context), case_id, "suspect", {"known": known, "text": note}))


@app.command("close", help=CLOSE_HELP)
def close(
    context: typer.Context,
    case_id: CaseId,
    *,
    outcome: Annotated[
        str, typer.Option(help="FILED or NOT_SUSPICIOUS.", autocompletion=lambda: list(OUTCOMES))
    ],
    note: Note,
    as_json: AsJson = False,
) -> None:
    """Propose how a case ends."""
    body = {"outcome": outcome, "text": note}
    proposed = act(open_system(context), case_id, "close", body)
    if as_json:
        print_json(proposed)
    else:
        show_proposed(proposed)


@app.command("draft", help=DRAFT_HELP)
def draft(
    context: typer.Context,
    case_id: CaseId,
    *,
    to: Annotated[Path | None, typer.Option(help="A file; else standard output.")] = None,
) -> None:
    """Write a draft."""
    document = draft_of(open_system(context), case_id)
    if to is None:
        print(document, end="")
    else:
        to.write_text(document, encoding="utf-8")


def _with_amount(row: Row) -> dict[str, Any]:
    cents = row["amount_usd_minor"]
    return {**row, "amount": None if cents is None else money(cents, "USD")}


def _done(case: Row) -> None:
    console().print(cell(f"{case['state']}, due on {case['due_on']}, assignee {case['assignee']}"))
