"""The actor for the audit log. The name is not verified: the credential proves operations only."""

import getpass
from typing import Annotated

import typer

MOST_CHARACTERS = 128
"""Source: the event `audit.recorded.v1`."""

Actor = Annotated[
    str, typer.Option(help="Your name for the audit log [default: the operating system's user].")
]


def actor_of(given: str) -> str:
    """Return the given name, else the operating system's user."""
    actor = given or getpass.getuser()
    if len(actor) > MOST_CHARACTERS:
        raise typer.BadParameter(f"--actor must have at most {MOST_CHARACTERS} characters")
    return actor
