"""Who acts, for the audit log. A claim: the credential proves operations, not a person."""

import getpass
from typing import Annotated

import typer

MOST_CHARACTERS = 128
"""Source: the event `audit.recorded.v1`."""

Actor = Annotated[str, typer.Option(help="Who does it, for the audit log; else the system's user.")]


def actor_of(given: str) -> str:
    """Return who acts: the name that was given, else the system's user."""
    actor = given or getpass.getuser()
    if len(actor) > MOST_CHARACTERS:
        raise typer.BadParameter(f"--actor must have at most {MOST_CHARACTERS} characters")
    return actor
