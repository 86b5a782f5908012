"""Applies SQL files once each, in the order of their names, as the owner of a schema.

`{service}` in a file stands for the service's role, which has the schema's name. A line
`-- include <package>/<path>` stands for a file of a library. A file is one
transaction. A file that begins with `-- outside a transaction` is one statement outside of one,
`create index concurrently if not exists`, which blocks no writer: an index that an interruption has
left invalid is dropped and built again. No statement waits longer than three seconds for a lock,
behind which every later query of the table would wait, too; the migration is tried again.
"""

import argparse
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.resources import files
from pathlib import Path

import psycopg
from psycopg import sql

OWN = Path(__file__).parent / "sql"
OUTSIDE = "-- outside a transaction"
INCLUDE = re.compile(r"^-- include (\w+)/(\S+)$", re.MULTILINE)
LOCK_TIMEOUT = "3s"
TRIES = 15
BETWEEN_TRIES_S = 1.0


def _silent(_progress: str) -> None:
    """Show no progress."""


def migrate(
    conninfo: str, schema: str, folders: Sequence[Path], tell: Callable[[str], object] = _silent
) -> list[str]:
    """Apply what is new of the runtime's and the service's files; return their names.

    `tell` gets the progress that a file raises as a notice (`raise notice 'states: % %%', 40`).
    Raises LockNotAvailable where a lock is held for longer than a minute.
    """
    applied: list[str] = []
    with psycopg.connect(conninfo, connect_timeout=5, autocommit=True) as connection:
        connection.add_notice_handler(partial(_tell_progress, tell))
        role = sql.Identifier(schema).as_string(connection)
        connection.execute("select set_config('search_path', %s, false)", (role,))
        connection.execute("select set_config('lock_timeout', %s, false)", (LOCK_TIMEOUT,))
        # Two set-ups at once wait for each other instead of racing for the same table.
        _insist(lambda: connection.execute("select pg_advisory_lock(hashtext(%s))", (schema,)))
        connection.execute(
            "create table if not exists schema_migration"
            " (name text primary key, applied_at timestamptz not null default now())"
        )
        known = {row[0] for row in connection.execute("select name from schema_migration")}
        for name, text in _files(folders):
            if name not in known:
                _insist(partial(_apply, connection, name, text.replace("{service}", role)))
                applied.append(name)
    return applied


def _tell_progress(tell: Callable[[str], object], notice: psycopg.errors.Diagnostic) -> None:
    # Other notices, such as "already exists, skipping", have a code.
    if notice.sqlstate == "00000":
        tell(notice.message_primary or "")


def _files(folders: Sequence[Path]) -> Iterator[tuple[str, str]]:
    for folder in (OWN, *folders):
        for path in sorted(folder.glob("*.sql")):
            text = path.read_text(encoding="utf-8")
            yield f"{folder.name}/{path.name}", INCLUDE.sub(_included, text)


def _included(line: re.Match[str]) -> str:
    return files(line[1]).joinpath(line[2]).read_text(encoding="utf-8")


def _apply(connection: psycopg.Connection, name: str, text: str) -> None:
    note = "insert into schema_migration (name) values (%s)"
    if text.startswith(OUTSIDE):
        _drop_invalid_indexes(connection)
        connection.execute(text.encode())
        connection.execute(note, (name,))
        return
    with connection.transaction():
        connection.execute(text.encode())
        connection.execute(note, (name,))


def _drop_invalid_indexes(connection: psycopg.Connection) -> None:
    found = connection.execute(
        """select relname from pg_index join pg_class on pg_class.oid = indexrelid
           where not indisvalid and relnamespace = current_schema()::regnamespace"""
    ).fetchall()
    for (name,) in found:
        drop = sql.SQL("drop index concurrently {}").format(sql.Identifier(name))
        connection.execute(drop)


def _insist(act: Callable[[], object]) -> None:
    """Do it, again and again where a lock is held; raise LockNotAvailable at last."""
    for _ in range(TRIES - 1):
        try:
            act()
        except psycopg.errors.LockNotAvailable:
            time.sleep(BETWEEN_TRIES_S)
        else:
            return
    act()


def main() -> None:
    """Run as `python -m service_runtime.migrations --schema confirm --folder …/migrations`."""
    parser = argparse.ArgumentParser(description="Apply a service's database migrations.")
    parser.add_argument("--schema", required=True)
    parser.add_argument(
        "--folder", required=True, type=Path, action="append", help="repeat for development seeds"
    )
    arguments = parser.parse_args()
    password = Path(os.environ["DATABASE_PASSWORD_FILE"]).read_text(encoding="utf-8").strip()
    conninfo = psycopg.conninfo.make_conninfo(os.environ["DATABASE_URL"], password=password)
    tell = partial(print, f"{arguments.schema}:", flush=True)
    for name in migrate(conninfo, arguments.schema, arguments.folder, tell):
        tell(f"applied {name}")


if __name__ == "__main__":
    main()
