"""The client of the running system, opened for one command."""

import os
from contextlib import closing
from dataclasses import dataclass

import typer

from ops.clients.addresses import Addresses, find_addresses
from ops.clients.sessions import Session, session_of
from ops.clients.system import System

OFFSET_VARIABLE = "COUNTERSIGN_OFFSET"
OPERATOR_VARIABLE = "COUNTERSIGN_AS"


@dataclass(frozen=True, slots=True)
class Choice:
    """The options of the command itself: the stack's offset, and a development operator."""

    offset: int = 0
    operator: str = ""


def open_system(context: typer.Context) -> System:
    """Return the client; it is closed when the command ends."""
    addresses = find_addresses(os.environ, context.obj.offset)
    session = open_session(context, addresses)
    system: System = context.with_resource(
        System(addresses, f"{context.command_path} --help", session.token)
    )
    return system


def open_session(context: typer.Context, addresses: Addresses | None = None) -> Session:
    """Return the operator's session: the one that is kept, or a development operator's."""
    known = addresses or find_addresses(os.environ, context.obj.offset)
    session: Session = context.with_resource(closing(session_of(known, context.obj.operator)))
    return session
