"""The database's roles and schemas, and the services' migrations.

Each service with a database has a schema with its name, owned by `<service>_owner` (migrations run
as this role) and used by the role `<service>` (the process), which owns nothing. What the service
role may do is granted by the migrations themselves. A service with `reader = true` in its manifest
may also act as `<service>_reader`, which nobody logs in as, and which is granted selects alone.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Timer
from typing import LiteralString

import psycopg
from psycopg import sql

from local_stack.credentials import (
    ADMIN_PASSWORD,
    MONITOR_PASSWORD,
    Credentials,
    owner_password_name,
    password_name,
)
from local_stack.errors import StackError
from local_stack.inventory import Service
from local_stack.settings import transport_is_tls, user_settings

DATABASE = "countersign"
ADMIN = "postgres"
MONITOR = "monitor"
"""The collector's role, for connections and transactions; it reads no table."""
_CONNECT_WITHIN_S = 5
_MIGRATE_WITHIN_S = 3600
"""A migration that rewrites a table takes up to a minute a million payments."""


_CONNECT: LiteralString = f"grant connect on database {DATABASE} to {{}}"
_MONITOR_CONNECTS: LiteralString = f"grant connect on database {DATABASE}, {ADMIN} to {MONITOR}"
"""The collector's receiver looks at the server through the administrator's database."""


def owner_of(service: str) -> str:
    """The role that owns a service's schema."""
    return f"{service}_owner"


def admin_dsn(address: str, credentials: Credentials, database: str = DATABASE) -> str:
    """The superuser's connection string; `address` is host:port."""
    return f"postgresql://{ADMIN}:{credentials.read(ADMIN_PASSWORD)}@{address}/{database}"


def is_ready(address: str, credentials: Credentials) -> bool:
    """Whether the server takes connections."""
    try:
        psycopg.connect(admin_dsn(address, credentials, ADMIN), connect_timeout=1).close()
    except psycopg.OperationalError as error:
        # libpq reports no SQLSTATE (28P01) for a failed connection. Waiting cannot repair this one.
        if "password authentication failed" in str(error):
            raise StackError(
                f"PostgreSQL at {address} refuses the password of {ADMIN}: its data was made with"
                " other secrets. Bring their folder back, or remove both with `make reset`"
            ) from None
        return False
    return True


def make_roles(address: str, credentials: Credentials, services: Iterable[Service]) -> None:
    """Make the database, each service's roles and schema, and set their passwords. Repeatable."""
    wait = _CONNECT_WITHIN_S
    whole = admin_dsn(address, credentials, ADMIN)
    with psycopg.connect(whole, autocommit=True, connect_timeout=wait) as server:
        _make_database(server)
    with psycopg.connect(admin_dsn(address, credentials), connect_timeout=wait) as connection:
        for service in services:
            _make_service(connection, service.name, credentials)
            if service.reader:
                make_reader(connection, service.name)
            roles = sql.SQL(", ").join(map(sql.Identifier, (service.name, owner_of(service.name))))
            connection.execute(sql.SQL(_CONNECT).format(roles))
        _make_role(connection, MONITOR, credentials.read(MONITOR_PASSWORD))
        connection.execute(sql.SQL("grant pg_monitor to {}").format(sql.Identifier(MONITOR)))
        connection.execute(_MONITOR_CONNECTS)
        connection.execute(f"revoke connect on database {DATABASE}, {ADMIN}, template1 from public")


def _make_database(server: psycopg.Connection) -> None:
    there = server.execute("select 1 from pg_database where datname = %s", (DATABASE,)).fetchone()
    if there is None:
        server.execute(sql.SQL("create database {}").format(sql.Identifier(DATABASE)))


def _make_service(connection: psycopg.Connection, service: str, credentials: Credentials) -> None:
    owner = owner_of(service)
    _make_role(connection, owner, credentials.read(owner_password_name(service)))
    _make_role(connection, service, credentials.read(password_name(service)))
    names = {"schema": sql.Identifier(service), "owner": sql.Identifier(owner)}
    for statement in (
        "create schema if not exists {schema} authorization {owner}",
        "alter role {owner} set search_path = {schema}",
        "alter role {schema} set search_path = {schema}",
    ):
        connection.execute(sql.SQL(statement).format(**names))


def make_reader(connection: psycopg.Connection, service: str) -> None:
    """Make the role that a service's queries take within a transaction. Repeatable."""
    reader = f"{service}_reader"
    if not connection.execute("select 1 from pg_roles where rolname = %s", (reader,)).fetchone():
        create = sql.SQL("create role {} nologin noinherit")
        connection.execute(create.format(sql.Identifier(reader)))
    grant = sql.SQL("grant {} to {}")
    connection.execute(grant.format(sql.Identifier(reader), sql.Identifier(service)))


def _make_role(connection: psycopg.Connection, role: str, password: str) -> None:
    there = connection.execute("select 1 from pg_roles where rolname = %s", (role,)).fetchone()
    verb = "alter" if there else "create"
    connection.execute(
        sql.SQL(verb + " role {} login password {}").format(
            sql.Identifier(role), sql.Literal(password)
        )
    )


def migrate(
    address: str,
    credentials: Credentials,
    services: Iterable[Service],
    tell: Callable[[str], None],
) -> None:
    """Apply the runtime's and the services' migrations, two services at a time.

    `tell` gets the progress of those that take long.
    Raises StackError with the end of the output of the first one that fails.
    """
    with ThreadPoolExecutor(max_workers=2) as pool:
        work = [pool.submit(_migrate, address, credentials, one, tell) for one in services]
        for one in work:
            one.result()


def _migrate(
    address: str, credentials: Credentials, migrated: Service, tell: Callable[[str], None]
) -> None:
    service = migrated.name
    folders = [part for folder in _folders(migrated.home) for part in ("--folder", str(folder))]
    verified = credentials.database_options(tls=transport_is_tls())
    environment = {
        "DATABASE_URL": f"postgresql://{owner_of(service)}@{address}/{DATABASE}{verified}",
        "DATABASE_PASSWORD_FILE": str(credentials.path(owner_password_name(service))),
    }
    output = ""
    with subprocess.Popen(
        [sys.executable, "-m", "service_runtime.migrations", "--schema", service, *folders],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | environment,
    ) as process:
        deadline = Timer(_MIGRATE_WITHIN_S, process.kill)
        deadline.start()
        for line in process.stdout or ():
            output += line
            if line.endswith("%\n"):
                tell(line.rstrip())
        deadline.cancel()
    if process.returncode != 0:
        raise StackError(f"migrations of {service} failed: {output[-2000:]}")


def _folders(home: Path) -> list[Path]:
    """Where a service's SQL files are: its migrations, in development its seeds too."""
    names = ["migrations", "development"] if _in_development() else ["migrations"]
    return [home / name for name in names if (home / name).exists() or name == "migrations"]


def _in_development() -> bool:
    return user_settings(["PROFILE"]).get("PROFILE", "dev") == "dev"
