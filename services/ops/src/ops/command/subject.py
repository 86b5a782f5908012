"""`countersign subject`: a person's data, exported, held, released, erased."""

import json
from pathlib import Path
from typing import Annotated

import typer

from ops.clients.system import System
from ops.command.output import AsJson, cell, console, print_json, table_of
from ops.command.proposals import show_proposed
from ops.command.session import open_system
from ops.domain.rows import Row

SHOW_HELP = """Show whether there is personal data of a person, a hold or an erasure.

\b
Example:
  countersign subject show usr-456

\b
Exit codes: 0 shown; 1 compliance has no data of this person; 2 a service did not respond."""

EXPORT_HELP = """Write a person's data to a folder, for the person: data.json and the documents.

The folder is made for you alone, and must not exist. The audit log records the export.

\b
Example:
  countersign subject export usr-456 --to export-usr-456

\b
Exit codes: 0 written; 1 nothing there, or erased; 2 wrong usage, or a service did not respond."""

HOLD_HELP = """Hold a person's data: nobody erases it, and no retention deletes of it.

\b
Example:
  countersign subject hold usr-456 --reason "order 7 of the court"

\b
Exit codes: 0 held; 1 refused, such as after an erasure; 2 a service did not respond."""

RELEASE_HELP = """End a hold.

\b
Exit codes: 0 released; 1 refused; 2 a service did not respond."""

ERASE_HELP = """Propose to erase a person's data; a second person approves. Refused under a hold.

The keys of the person are destroyed within seconds of the approval: what they have sealed can be
read nowhere any more, backups included; contacts and explanations go as well. The ledger and the
audit log stay, under the user's id. Erasing an erased person announces the erasure again.

\b
Examples:
  countersign subject erase usr-456
  countersign --as bob approve ID

\b
Exit codes: 0 proposed; 1 refused, such as under a hold; 2 a service did not respond."""

OWNER = "compliance"
User = Annotated[str, typer.Argument(metavar="USER", help="The user's id.")]

app = typer.Typer(
    help="Export, hold, release and erase a person's data.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("show", help=SHOW_HELP)
def show(context: typer.Context, user: User, *, as_json: AsJson = False) -> None:
    """Show a subject."""
    _show(open_system(context).get(OWNER, _path(user)), as_json=as_json)


@app.command("export", help=EXPORT_HELP)
def export(
    context: typer.Context,
    user: User,
    *,
    to: Annotated[Path, typer.Option(help="The folder to write.")],
) -> None:
    """Write a subject's data."""
    if to.exists():
        raise typer.BadParameter(f"{to} exists", param_hint="--to")
    system = open_system(context)
    found = system.get(OWNER, _path(user, "/export"))
    to.mkdir(mode=0o700, parents=True)
    (to / "data.json").write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    for document in found["documents"]:
        _write_document(system, user, document, to)
    console().print(cell(f"written to {to}: data.json, {len(found['documents'])} documents"))


@app.command("hold", help=HOLD_HELP)
def hold(
    context: typer.Context,
    user: User,
    *,
    reason: Annotated[str, typer.Option(help="Why, without personal data.")],
    as_json: AsJson = False,
) -> None:
    """Hold a subject."""
    held = open_system(context).post(OWNER, _path(user, "/hold"), {"reason": reason})
    _show(held, as_json=as_json)


@app.command("release", help=RELEASE_HELP)
def release(context: typer.Context, user: User, *, as_json: AsJson = False) -> None:
    """End a hold."""
    _show(open_system(context).post(OWNER, _path(user, "/release"), {}), as_json=as_json)


@app.command("erase", help=ERASE_HELP)
def erase(context: typer.Context, user: User, *, as_json: AsJson = False) -> None:
    """Propose an erasure."""
    proposed = open_system(context).post(OWNER, _path(user, "/erase"), {})
    if as_json:
        print_json(proposed)
    else:
        show_proposed(proposed)


def _path(user: str, act: str = "") -> str:
    if not user or "/" in user:
        raise typer.BadParameter("must be a user's id", param_hint="USER")
    return f"/admin/subjects/{user}{act}"


def _show(found: Row, *, as_json: bool) -> None:
    if as_json:
        print_json(found)
    else:
        console().print(table_of("", ("", ""), list(found.items())))


def _write_document(system: System, user: str, document: Row, folder: Path) -> None:
    suffix = str(document["mediaType"]).rpartition("/")[2]
    name = f"{document['documentId']}.{suffix}"
    path = f"/admin/kyc/{user}/documents/{document['documentId']}"
    (folder / name).write_bytes(system.download(OWNER, path))
