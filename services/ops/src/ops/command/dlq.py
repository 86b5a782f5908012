"""`countersign dlq`: what consumers have refused for good."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import typer

from ops.command.output import AsJson, cell, console, print_json, table_of
from ops.command.session import open_system
from ops.dead_letters import DeadLetter, Found, Wanted, read
from ops.errors import RefusedError
from ops.masking import masked
from service_runtime.clock import SystemClock
from service_runtime.dead_letters import SUFFIX

LIST_HELP = """List dead letters: where each lies, who refused it, why, and how long ago.

Reads the topics `<topic>-dlq` up to their present ends; nothing is moved or committed.

\b
Examples:
  countersign dlq list
  countersign dlq list --topic settlement-queue --reason schema
  countersign dlq list --json | jq '.letters | group_by(.reason) | map({(.[0].reason): length})'

\b
Exit codes: 0 listed, even if there are none; 2 Kafka could not be asked."""

SHOW_HELP = """Show dead letters whole, with their data masked: ids and amounts only.

ID is an event's id, or TOPIC/PARTITION/OFFSET of the dead-letter topic as `dlq list` prints it.

\b
Examples:
  countersign dlq show 0b5c7b0e-5a0e-5d0a-9a63-3f2f5d1c7e11
  countersign dlq show settlement-queue/3/17

\b
Exit codes: 0 shown; 1 there is none; 2 Kafka could not be asked."""

app = typer.Typer(help="Look at dead letters.", no_args_is_help=True, rich_markup_mode=None)

Topic = Annotated[str | None, typer.Option(help="Only those of this topic.")]
Reason = Annotated[str | None, typer.Option(help="Only those with this reason.")]


@app.command("list", help=LIST_HELP)
def list_letters(  # noqa: PLR0913 - one parameter an option
    context: typer.Context,
    *,
    topic: Topic = None,
    reason: Reason = None,
    event_id: Annotated[str | None, typer.Option("--id", help="Only this event.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The newest so many.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List dead letters."""
    brokers = open_system(context).addresses.brokers()
    found = read(brokers, wanted(topic, reason, event_id), limit)
    if as_json:
        print_json({"total": found.total, "letters": [_plain(one) for one in found.letters]})
    else:
        _print_table(found)


@app.command("show", help=SHOW_HELP)
def show_letters(
    context: typer.Context,
    letter_id: Annotated[str, typer.Argument(metavar="ID", help="Event id, or place.")],
    *,
    topic: Topic = None,
    as_json: AsJson = False,
) -> None:
    """Show dead letters."""
    brokers = open_system(context).addresses.brokers()
    is_it = wanted(topic, None, letter_id)
    found = read(brokers, lambda one: is_it(one) or place_of(one) == letter_id, 100)
    if not found.letters:
        raise RefusedError(f"no dead letter has the id {letter_id}: see `countersign dlq list`")
    shown = [_plain(one) | {"data": masked(one.value)} for one in found.letters]
    if as_json:
        print_json(shown)
        return
    for one in shown:
        console().print(table_of("", ("", ""), _lines(one)))


def wanted(topic: str | None, reason: str | None, event_id: str | None) -> Wanted:
    """Return what tells the letters that are asked for from the others."""
    source = topic.removesuffix(SUFFIX) if topic else None

    def matches(letter: DeadLetter) -> bool:
        return (
            source in (None, letter.topic)
            and reason in (None, letter.reason)
            and event_id in (None, letter.event_id)
        )

    return matches


def place_of(letter: DeadLetter) -> str:
    """Return where a letter lies: topic, and partition and offset of the dead-letter topic."""
    return f"{letter.topic}/{letter.partition}/{letter.offset}"


def age(time: datetime, now: datetime) -> str:
    """Return how long ago something was, in its largest unit."""
    seconds = max(0, int((now - time).total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def _plain(letter: DeadLetter) -> dict[str, Any]:
    fields = asdict(letter)
    del fields["value"]
    return fields | {"place": place_of(letter)}


def _lines(shown: dict[str, Any]) -> list[tuple[str, Any]]:
    data = shown["data"]
    if not isinstance(data, dict):
        return list(shown.items())
    rest = [(name, value) for name, value in shown.items() if name != "data"]
    return rest + [(f"data.{name}", value) for name, value in data.items()]


def _print_table(found: Found) -> None:
    now, screen = SystemClock().now(), console()
    if not found.letters:
        screen.print("no dead letters")
        return
    rows = (
        (
            place_of(one),
            one.consumer,
            one.reason,
            one.error_class,
            one.attempts,
            one.event_id,
            age(one.time, now),
        )
        for one in found.letters
    )
    columns = ("place", "consumer", "reason", "error", "attempts", "event id", "age")
    screen.print(table_of("", columns, rows))
    if found.total > len(found.letters):
        screen.print(cell(f"the newest {len(found.letters)} of {found.total}"))
