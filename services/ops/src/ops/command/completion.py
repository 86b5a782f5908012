"""`countersign completion`: the shell's script, and the values that it completes."""

import os
from contextlib import suppress
from typing import Annotated, Literal

import typer
from typer._completion_shared import get_completion_script

from ops.clients.addresses import find_addresses
from ops.clients.listings import ACCOUNTS, CASES
from ops.clients.system import System
from ops.domain.errors import OpsError
from ops.domain.rows import Row
from payment_schemas.registry import EVENTS

HELP = """Print a script with which the shell completes commands, options and values.

\b
Examples:
  eval "$(countersign completion bash)"
  eval "$(countersign completion zsh)"

\b
Written into ~/.bashrc, or ~/.zshrc behind compinit, the line is there in every shell.

\b
Exit codes: 0 printed; 2 wrong usage."""

PROGRAM = "countersign"
VARIABLE = "_COUNTERSIGN_COMPLETE"
"""In the environment it makes the command print completions, and run nothing."""

Shell = Annotated[Literal["bash", "zsh"], typer.Argument(help="For which shell.")]


def completion(shell: Shell) -> None:
    """Print the script."""
    print(get_completion_script(prog_name=PROGRAM, complete_var=VARIABLE, shell=shell))


def topics() -> list[str]:
    """Complete a topic."""
    return sorted({event.topic for event in EVENTS})


def partners() -> list[str]:
    """Complete a partner bank."""
    return list(find_addresses({}).partners)


def accounts(context: typer.Context, incomplete: str) -> list[str]:
    """Complete an account, as far as the running system knows it."""
    with suppress(OpsError), _system(context) as system:
        return [one["id"] for one in system.rows(ACCOUNTS, prefix=incomplete)]
    return []


def cases(context: typer.Context) -> list[tuple[str, str]]:
    """Complete the id of an unresolved case; say what it is about."""
    with suppress(OpsError), _system(context) as system:
        return [(one["id"], _about(one)) for one in system.rows(CASES)]
    return []


def _about(case: Row) -> str:
    return f"{case['kind']} {case['partner']} {case['day']}"


def _system(context: typer.Context) -> System:
    # Here typer has read the options, and has not run what keeps them.
    offset = context.find_root().params.get("offset") or 0
    return System(find_addresses(os.environ, offset))
