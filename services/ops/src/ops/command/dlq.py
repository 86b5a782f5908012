"""`countersign dlq`: lists, shows, redrives and discards dead letters."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import typer

from ops.clients.dead_letters import (
    DeadLetter,
    Found,
    Wanted,
    is_discarded,
    read,
    shown,
    wanted,
)
from ops.clients.discards import discarded_at
from ops.command import completion
from ops.command.output import AsJson, cell, command_line, console, print_json, table_of
from ops.command.proposals import show_proposed
from ops.command.session import open_system
from ops.command.times import Utc
from ops.domain.durations import span
from ops.domain.errors import OpsError, RefusedError
from service_runtime.brokers import Brokers
from service_runtime.clock import SystemClock

LIST_HELP = """List dead letters with position, consumer, reason and age.

Reads the topics `<topic>-dlq` up to their current ends; no offset is committed. Discarded ones are
left out, which ops has to know; --discarded lists them alone.

\b
Examples:
  countersign dlq list
  countersign dlq list --topic settlement-queue --reason schema
  countersign dlq list --json | jq '.letters | group_by(.reason) | map({(.[0].reason): length})'

\b
Exit codes: 0 listed, even if there are none; 2 Kafka did not respond."""

SHOW_HELP = """Show all fields of dead letters, with their data masked except ids and amounts.

ID is an event's id, or TOPIC/PARTITION/OFFSET of the dead-letter topic as `dlq list` prints it.

\b
Examples:
  countersign dlq show 0b5c7b0e-5a0e-5d0a-9a63-3f2f5d1c7e11
  countersign dlq show settlement-queue/3/17

\b
Exit codes: 0 shown; 1 not found; 2 Kafka did not respond."""

REDRIVE_HELP = """Publish dead letters to their original topic again.

Value, key, headers and id stay the same; a header with the time of the redrive is added. A consumer
that has handled the record skips it, so running this twice has one effect. Dead letters stay in
their topic until their retention ends; one that is refused again is there twice. The audit log
records each message; its row is committed with the message. More than one message is proposed, and
redriven when a second person approves it.

\b
Examples:
  countersign dlq redrive --id 0b5c7b0e-5a0e-5d0a-9a63-3f2f5d1c7e11
  countersign dlq redrive --topic settlement-queue --reason schema --dry-run
  countersign dlq redrive --topic settlement-queue --reason schema --yes

\b
Exit codes: 0 redriven, proposed, or shown by --dry-run; 1 none, or more than one without --yes; 2
wrong usage, or ops or Kafka did not respond."""

app = typer.Typer(
    help="Look at dead letters, redrive, discard them.", no_args_is_help=True, rich_markup_mode=None
)

Topic = Annotated[
    str | None, typer.Option(help="Only those of this topic.", autocompletion=completion.topics)
]
Reason = Annotated[str | None, typer.Option(help="Only those with this reason.")]


@app.command("list", help=LIST_HELP)
def list_letters(  # noqa: PLR0913 - one parameter an option
    context: typer.Context,
    *,
    topic: Topic = None,
    reason: Reason = None,
    event_id: Annotated[str | None, typer.Option("--id", help="Only this event.")] = None,
    are_discarded: Annotated[
        bool, typer.Option("--discarded", help="Only those that were discarded.")
    ] = False,
    limit: Annotated[
        int, typer.Option(min=1, max=10_000, help="Maximum number, the newest first.")
    ] = 100,
    as_json: AsJson = False,
) -> None:
    """List dead letters."""
    system = open_system(context)
    matches, unknown = wanted(topic, reason, event_id), ""
    try:
        matches = _apart(matches, discarded_at(system), are_discarded=are_discarded)
    except OpsError as error:
        if are_discarded:
            raise
        unknown = f"discarded ones are listed, too: {error.what}"
    found = read(system.addresses.brokers(), matches, limit)
    if as_json:
        letters = [_plain(one) for one in found.letters]
        print_json({"total": found.total, "letters": letters, "unknown": unknown or None})
        return
    _print_table(found)
    if unknown:
        console().print(cell(unknown))


def _apart(matches: Wanted, discarded: Mapping[str, datetime], *, are_discarded: bool) -> Wanted:
    return lambda one: matches(one) and is_discarded(one, discarded) is are_discarded


@app.command("show", help=SHOW_HELP)
def show_letters(
    context: typer.Context,
    letter_id: Annotated[str, typer.Argument(metavar="ID", help="Event id or position.")],
    *,
    topic: Topic = None,
    _utc: Utc = False,
    as_json: AsJson = False,
) -> None:
    """Show dead letters."""
    brokers = open_system(context).addresses.brokers()
    found = read(brokers, wanted(topic, None, letter_id), 100)
    if not found.letters:
        raise RefusedError(f"no dead letter has the id {letter_id}", "countersign dlq list")
    letters = [shown(one) for one in found.letters]
    if as_json:
        print_json(letters)
        return
    for one in letters:
        console().print(table_of("", ("", ""), _lines(one)))


@app.command("redrive", help=REDRIVE_HELP)
def redrive_letters(  # noqa: PLR0913 - one parameter an option
    context: typer.Context,
    *,
    topic: Topic = None,
    reason: Reason = None,
    event_id: Annotated[str | None, typer.Option("--id", help="Only this event.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the messages.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Propose more than one message.")] = False,
    as_json: AsJson = False,
) -> None:
    """Send dead letters again."""
    if topic is reason is event_id is None:
        raise typer.BadParameter("one of --topic, --reason and --id must be given")
    # This import takes a quarter of a second, so only this command pays for it.
    from ops.clients.redriving import MOST_REDRIVEN, each_once  # noqa: PLC0415

    system = open_system(context)
    matches = wanted(topic, reason, event_id)
    letters = each_once(_to_redrive(system.addresses.brokers(), matches, MOST_REDRIVEN))
    if len(letters) > 1 and not (yes or dry_run):
        what = f"{len(letters)} messages match, more than one needs --yes"
        options = {"--topic": topic, "--reason": reason, "--id": event_id}
        raise RefusedError(what, command_line("dlq", "redrive", options=options) + " --dry-run")
    places = {"places": [letter.place for letter in letters]}
    found = {} if dry_run else system.post("ops", "/admin/redrives", places)
    _print_redriven(letters, found, as_json=as_json)


def _to_redrive(brokers: Brokers, matches: Wanted, most: int) -> list[DeadLetter]:
    found = read(brokers, matches, most)
    if not found.letters:
        raise RefusedError("no dead letter matches", "countersign dlq list")
    if found.total > most:
        what = f"{found.total} match, at most {most} can be sent at once: add a filter"
        raise RefusedError(what, "countersign dlq list")
    return found.letters


def _print_redriven(letters: list[DeadLetter], found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        each = [shown(one) for one in letters]
        print_json({"matched": len(letters), "redriven": 0, **found, "letters": each})
        return
    _print_table(Found(letters, len(letters)))
    if "proposal" in found:
        show_proposed(found)
    else:
        console().print(f"{found.get('redriven', 0)} of {len(letters)} redriven")


def _plain(letter: DeadLetter) -> dict[str, Any]:
    """Return a letter for a list: without its data."""
    return {name: value for name, value in shown(letter).items() if name != "data"}


def _lines(letter: dict[str, Any]) -> list[tuple[str, Any]]:
    data = letter["data"]
    if not isinstance(data, dict):
        return list(letter.items())
    rest = [(name, value) for name, value in letter.items() if name != "data"]
    return rest + [(f"data.{name}", value) for name, value in data.items()]


def _print_table(found: Found) -> None:
    now, screen = SystemClock().now(), console()
    if not found.letters:
        screen.print("no dead letters")
        return
    rows = (
        (
            one.place,
            one.consumer,
            one.reason,
            one.error_class,
            one.attempts,
            one.event_id,
            span(now - one.time),
        )
        for one in found.letters
    )
    columns = ("place", "consumer", "reason", "error", "attempts", "event id", "age")
    screen.print(table_of("", columns, rows))
    if found.total > len(found.letters):
        screen.print(cell(f"the newest {len(found.letters)} of {found.total}"))
