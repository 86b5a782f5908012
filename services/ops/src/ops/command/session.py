"""The client of the running system, opened for one command."""

import os

import typer

from ops.clients.addresses import find_addresses
from ops.clients.system import System

OFFSET_VARIABLE = "COUNTERSIGN_OFFSET"


def open_system(context: typer.Context) -> System:
    """Return the client; it is closed when the command ends."""
    addresses = find_addresses(os.environ, context.obj)
    system: System = context.with_resource(System(addresses, f"{context.command_path} --help"))
    return system
