"""Backups of databases as PostgreSQL's own programs make and restore them."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from service_runtime.clock import SystemClock

PG_DUMP = shutil.which("pg_dump") or "pg_dump"
PSQL = shutil.which("psql") or "psql"
WITHIN_S = 60


def dump(admin_dsn: str, to: Path) -> None:
    """Write a database to a file of SQL."""
    to.write_bytes(_run(PG_DUMP, admin_dsn, "--format=plain"))


@contextmanager
def restored(admin_dsn: str, backup: Path) -> Iterator[str]:
    """Restore a backup into a database of its own; yield its name."""
    name = f"test_restored_{SystemClock().new_id().hex[:8]}"
    with psycopg.connect(admin_dsn, autocommit=True) as server:
        server.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        try:
            dsn = database_dsn(admin_dsn, name)
            _run(PSQL, dsn, "--quiet", "--set=ON_ERROR_STOP=1", "--file", str(backup))
            yield name
        finally:
            drop = sql.SQL("drop database {} with (force)")
            server.execute(drop.format(sql.Identifier(name)))


def database_dsn(dsn: str, name: str) -> str:
    """Return the address of another database of the same server."""
    return f"{dsn.rpartition('/')[0]}/{name}"


def _run(program: str, dsn: str, *arguments: str) -> bytes:
    """Run a program of PostgreSQL as the superuser; return its output."""
    named = conninfo_to_dict(dsn)
    password = {"PGPASSWORD": str(named.pop("password"))}
    command = [program, *arguments, "--dbname", make_conninfo("", **named)]
    done = subprocess.run(
        command, env=os.environ | password, check=True, timeout=WITHIN_S, stdout=subprocess.PIPE
    )
    return done.stdout
