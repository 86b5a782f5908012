"""`--watch`: the same question again and again, until it is answered for good or by Ctrl-C."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import typer

from ops.command.output import cell, console
from ops.domain.errors import NotAskedError

Watch = Annotated[bool, typer.Option("--watch", help="Look again and again, until Ctrl-C.")]


@dataclass(frozen=True, slots=True)
class Look:
    """One look: how to show it, what a script makes of it, and whether another can differ."""

    show: Callable[[], None]
    exit_code: int
    is_last: bool = False


def look(ask: Callable[[], Look], *, again_after_s: float | None) -> None:
    """Look once, or again each time that the pause is over; leave with the last look's exit code.

    One question at a time: a slow system is not asked faster. Who does not answer while others
    watch may come back, and is asked again.
    """
    exit_code = 0
    try:
        while True:
            found = ask() if again_after_s is None else _one_of_many(ask)
            exit_code = found.exit_code
            found.show()
            sys.stdout.flush()
            if found.is_last or again_after_s is None:
                break
            time.sleep(again_after_s)
    except KeyboardInterrupt:
        if again_after_s is None:
            raise
    raise typer.Exit(exit_code)


def _one_of_many(ask: Callable[[], Look]) -> Look:
    try:
        found = ask()
    except NotAskedError as error:
        sentence, code = str(error), error.exit_code
        return Look(lambda: _onto_clear(lambda: console().print(cell(sentence))), code)
    return Look(lambda: _onto_clear(found.show), found.exit_code, found.is_last)


def _onto_clear(show: Callable[[], None]) -> None:
    """Show one look in place of the one before; where no terminal is, behind it."""
    console().clear()
    show()
