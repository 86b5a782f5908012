"""`countersign ask`: a question about payments, runbooks or codes, which insight answers."""

from typing import Annotated

import typer

from ops.command.output import AsJson, cell, console, print_json
from ops.command.session import open_system
from ops.domain.errors import RefusedError

INSIGHT = "insight"
HELP = """Ask about payments, runbooks or codes. Each figure names its query and row.

The service insight responds (`make up G="core risk"`). It reads alone: it changes nothing, and
shows no personal data.

\b
Examples:
  countersign ask "How many payments were declined today?"
  countersign ask "Why does tx-987 have this score?"
  countersign ask "What does WorkParked mean?" --json | jq .documents

\b
Exit codes: 0 answered; 1 the question is refused; 2 insight did not respond."""


def ask(
    context: typer.Context,
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="In plain English.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Ask one question."""
    system = open_system(context)
    found = system.post(INSIGHT, "/admin/chat", {"question": question})
    if as_json:
        print_json(found)
    elif found["outcome"] == "refused":
        raise RefusedError(found["answer"], 'countersign ask "How many payments were made today?"')
    else:
        console().print(cell(found["answer"]), soft_wrap=True)
