"""`countersign dlq discard` and `dlq discards`: dead letters that two people discard."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from ops.clients.discards import MOST_DISCARDED, payments_of
from ops.clients.listings import DEAD_LETTERS, DISCARDS
from ops.command import completion
from ops.command.output import AsJson, cell, command_line, console, print_json, table_of
from ops.command.proposals import show_proposed
from ops.command.session import open_system
from ops.domain.concerns import concern_of, has_ended
from ops.domain.errors import RefusedError
from ops.domain.rows import Row

DISCARD_HELP = """Propose to discard dead letters; another person reads them, and approves.

No consumer handles them then, and they leave `dlq list`. They stay in their topic until its
retention ends, and can be redriven by their id. The audit log has a row for each, with the reason.
A payment that has not ended does not end by this: `countersign check` goes on reporting it.

\b
Examples:
  countersign dlq discard --id settlement-queue/3/17 --because 'a test of ours, sent to production'
  countersign dlq discard --topic settlement-queue --reason schema --dry-run

\b
Exit codes: 0 proposed, or shown by --dry-run; 1 none, or more than 100 match; 2 wrong usage, or a
service did not respond."""

LIST_HELP = """List what was discarded in the last 97 days, with reason and both people.

\b
Examples:
  countersign dlq discards
  countersign dlq discards --json | jq '.discards[] | select(.reason | test("test"))'

\b
Exit codes: 0 listed, even if there are none; 2 ops did not respond."""

_COLUMNS = ("place", "event", "refused by", "concerns", "payment now")


def discard(  # noqa: PLR0913 - one parameter an option
    context: typer.Context,
    *,
    topic: Annotated[
        str | None, typer.Option(help="Those of this topic.", autocompletion=completion.topics)
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Those refused for this reason.")] = None,
    letter_id: Annotated[str | None, typer.Option("--id", help="This event, or position.")] = None,
    because: Annotated[str, typer.Option(help="Why, without personal data.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show them.")] = False,
    as_json: AsJson = False,
) -> None:
    """Propose to discard dead letters."""
    if topic is reason is letter_id is None:
        raise typer.BadParameter("one of --topic, --reason and --id must be given")
    if not (because or dry_run):
        raise typer.BadParameter("--because or --dry-run must be given")
    system = open_system(context)
    asked = {"topic": topic, "reason": reason, "id": letter_id, "limit": MOST_DISCARDED}
    found = system.get(DEAD_LETTERS.owner, DEAD_LETTERS.path, **asked)
    if not 0 < found["total"] <= MOST_DISCARDED:
        what = (
            f"{found['total']} dead letters match; at once 1 to {MOST_DISCARDED} can be discarded"
        )
        options = {"--topic": topic, "--reason": reason, "--id": letter_id}
        raise RefusedError(what, command_line("dlq", "list", options=options))
    letters = [{**one, "concerns": concern_of(one["data"])} for one in found["letters"]]
    body = {"places": [one["place"] for one in letters], "reason": because}
    payments = payments_of(system, letters)
    done = {} if dry_run else system.post(DISCARDS.owner, DISCARDS.path, body)
    _print(letters, payments, done, as_json=as_json)


def list_discards(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List discards."""
    found = open_system(context).all_rows(DISCARDS)
    if as_json:
        print_json({"discards": found})
        return
    columns = ("discarded_at", "reason", "letters", "proposed_by", "approved_by")
    rows = ([{**one, "letters": len(one["places"])}[name] for name in columns] for one in found)
    console().print(table_of("", columns, rows) if found else "nothing was discarded")


def _print(
    letters: Sequence[Row], payments: Mapping[str, Row], done: dict[str, Any], *, as_json: bool
) -> None:
    if as_json:
        print_json({"matched": len(letters), **done, "letters": letters, "payments": payments})
        return
    rows = [_row(one, payments.get(str(one["concerns"].get("payment_id")))) for one in letters]
    console().print(table_of("", _COLUMNS, rows))
    if open_ones := [one for one in payments.values() if not has_ended(one)]:
        what = f"payments that have not ended, and do not by this: {len(open_ones)}"
        console().print(cell(what))
    if done:
        show_proposed(done)


def _row(letter: Row, payment: Row | None) -> list[Any]:
    state = f"{payment['state']} {payment['settlement_status']}" if payment else None
    names = letter["event_id"], letter["consumer"], letter["concerns"]
    return [letter["place"], *names, state]
