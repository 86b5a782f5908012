"""The system that a command speaks to: found once, closed at the end."""

import os
from typing import Any

import typer

from ops.addresses import find_addresses
from ops.errors import OpsError
from ops.system import System

OFFSET_VARIABLE = "COUNTERSIGN_OFFSET"


def open_system(context: typer.Context) -> System:
    """Return the running system; it is closed when the command ends."""
    system: System = context.with_resource(System(find_addresses(os.environ, context.obj)))
    return system


def ask_or_explain(system: System, name: str, path: str, **query: Any) -> tuple[Any, str]:
    """Return an answer and "", or nothing and why there is none."""
    try:
        return system.get(name, path, **query), ""
    except OpsError as error:
        return {}, str(error)
