"""A separate database for one test, with one service's schema."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from local_stack.credentials import owner_password_name, password_name
from local_stack.databases import make_reader
from local_stack.discovery import RunningStack
from service_runtime.migrations import migrate

_numbers = count()


@dataclass(frozen=True, slots=True)
class FreshDatabase:
    """Connection strings with passwords: the service's role, its owner, the superuser."""

    dsn: str
    owner_dsn: str
    admin_dsn: str


@dataclass(frozen=True, slots=True)
class Backend:
    """A real or memory database with a service's store and work table."""

    database: Any
    store: Callable[[Any], Any]
    table: Any = None


@contextmanager
def fresh_database(
    infrastructure: RunningStack,
    service: str,
    folders: Sequence[Path] = (),
    *,
    reader: bool = False,
) -> Iterator[FreshDatabase]:
    """Create a database with the service's migrated schema; drop it at the end.

    `reader`: whether the service has a role that only reads.
    """
    name = f"test_{service}_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(infrastructure.admin_dsn, autocommit=True) as server:
        server.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        if reader:
            _role(server, infrastructure, service, password_name(service))
            make_reader(server, service)
        try:
            yield _migrated(server, infrastructure, service, folders, name)
        finally:
            drop = sql.SQL("drop database {} with (force)")
            server.execute(drop.format(sql.Identifier(name)))


def _migrated(
    server: psycopg.Connection,
    infrastructure: RunningStack,
    service: str,
    folders: Sequence[Path],
    name: str,
) -> FreshDatabase:
    owner = f"{service}_owner"
    passwords = [
        _role(server, infrastructure, service, password_name(service)),
        _role(server, infrastructure, owner, owner_password_name(service)),
    ]
    address = f"{infrastructure.postgres}/{name}"
    found = FreshDatabase(
        f"postgresql://{service}:{passwords[0]}@{address}",
        f"postgresql://{owner}:{passwords[1]}@{address}",
        infrastructure.admin_dsn.rpartition("/")[0] + f"/{name}",
    )
    schema = sql.SQL("create schema {} authorization {}")
    with psycopg.connect(found.admin_dsn) as admin:
        admin.execute(schema.format(sql.Identifier(service), sql.Identifier(owner)))
    migrate(found.owner_dsn, service, folders)
    return found


def _role(server: psycopg.Connection, infrastructure: RunningStack, role: str, secret: str) -> str:
    """Return the role's password; create an unknown role, with its name as password."""
    if infrastructure.credentials.path(secret).exists():
        return infrastructure.credentials.read(secret)
    names = {"role": sql.Identifier(role), "password": sql.Literal(role)}
    if server.execute("select 1 from pg_roles where rolname = %s", (role,)).fetchone() is None:
        server.execute(sql.SQL("create role {role} login password {password}").format(**names))
    home = role.removesuffix("_owner")
    path = sql.SQL("alter role {} set search_path = {}")
    server.execute(path.format(sql.Identifier(role), sql.Identifier(home)))
    return role
