"""`--watch`: repeats a query until its result is final, or until Ctrl-C."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import typer

from ops.command.output import cell, console
from ops.domain.errors import UnavailableError

Watch = Annotated[bool, typer.Option("--watch", help="Repeat until Ctrl-C.")]


@dataclass(frozen=True, slots=True)
class View:
    """One result: how to show it, its exit code, and whether it is final."""

    show: Callable[[], None]
    exit_code: int
    is_last: bool = False


def show_view(fetch: Callable[[], View], *, repeat_after_s: float | None) -> None:
    """Show one result, or repeat it after each pause; exit with the last result's exit code.

    Queries never overlap, so a slow system gets no extra load. With `--watch` a service without a
    response is queried again.
    """
    exit_code = 0
    try:
        while True:
            found = fetch() if repeat_after_s is None else _fetch_view(fetch)
            exit_code = found.exit_code
            found.show()
            sys.stdout.flush()
            if found.is_last or repeat_after_s is None:
                break
            time.sleep(repeat_after_s)
    except KeyboardInterrupt:
        if repeat_after_s is None:
            raise
    raise typer.Exit(exit_code)


def _fetch_view(fetch: Callable[[], View]) -> View:
    try:
        found = fetch()
    except UnavailableError as error:
        sentence, code = str(error), error.exit_code
        return View(lambda: _redraw(lambda: console().print(cell(sentence))), code)
    return View(lambda: _redraw(found.show), found.exit_code, found.is_last)


def _redraw(show: Callable[[], None]) -> None:
    """Replace the last result on a terminal; elsewhere append to it."""
    console().clear()
    show()
