"""`countersign completion`: the shell's script, and the completed values."""

import os
from contextlib import suppress
from typing import Annotated, Literal

import typer
from typer._completion_shared import get_completion_script

from ops.clients.addresses import find_addresses
from ops.clients.listings import ACCOUNTS, CASES, PARTNERS
from ops.clients.proposals import waiting
from ops.clients.sessions import session_of
from ops.clients.system import System
from ops.domain.errors import OpsError
from ops.domain.rows import Row
from payment_schemas.registry import EVENTS

HELP = """Print a script for the shell's completion of commands, options and values.

\b
Examples:
  eval "$(countersign completion bash)"
  eval "$(countersign completion zsh)"

\b
Add the line to ~/.bashrc, or to ~/.zshrc after compinit, for every new shell.

\b
Exit codes: 0 printed; 2 wrong usage."""

PROGRAM = "countersign"
VARIABLE = "_COUNTERSIGN_COMPLETE"
"""With this environment variable the command only prints completions."""

Shell = Annotated[Literal["bash", "zsh"], typer.Argument(help="The shell.")]


def completion(shell: Shell) -> None:
    """Print the script."""
    print(get_completion_script(prog_name=PROGRAM, complete_var=VARIABLE, shell=shell))


def topics() -> list[str]:
    """Complete a topic."""
    return sorted({event.topic for event in EVENTS})


def partners() -> list[str]:
    """Complete a partner bank."""
    return list(find_addresses({}).partners)


def kafka_partners(context: typer.Context) -> list[str]:
    """Complete a partner bank on Kafka."""
    with suppress(OpsError), _system(context) as system:
        return [one["partner"] for one in system.rows(PARTNERS)]
    return []


def accounts(context: typer.Context, incomplete: str) -> list[str]:
    """Complete an account of the running system."""
    with suppress(OpsError), _system(context) as system:
        return [one["id"] for one in system.rows(ACCOUNTS, prefix=incomplete)]
    return []


def cases(context: typer.Context) -> list[tuple[str, str]]:
    """Complete the id of an unresolved case, with its kind, partner and day."""
    with suppress(OpsError), _system(context) as system:
        return [(one["id"], _about(one)) for one in system.rows(CASES)]
    return []


def proposals(context: typer.Context) -> list[tuple[str, str]]:
    """Complete the id of a proposal, with its act."""
    with suppress(OpsError), _system(context) as system:
        return [(one["proposal"], f"{one['act']} {one['about']}") for one in waiting(system)]
    return []


def _about(case: Row) -> str:
    return f"{case['kind']} {case['partner']} {case['day']}"


def _system(context: typer.Context) -> System:
    # During completion typer has parsed the options without running the callback that stores them.
    chosen = context.find_root().params
    addresses = find_addresses(os.environ, chosen.get("offset") or 0)
    session = session_of(addresses, chosen.get("operator") or "")
    return System(addresses, bearer=session.token)
