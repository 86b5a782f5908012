"""Applies SQL files once each, in the order of their names, as the owner of a schema.

`{service}` in a file stands for the service's role, which has the schema's name.
"""

import argparse
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import psycopg
from psycopg import sql

OWN = Path(__file__).parent / "sql"


def migrate(conninfo: str, schema: str, folders: Sequence[Path]) -> list[str]:
    """Apply what is new of the runtime's and the service's files; return their names."""
    with psycopg.connect(conninfo, connect_timeout=5) as connection:
        # Two set-ups at once wait for each other instead of racing for the same table.
        connection.execute("select pg_advisory_xact_lock(hashtext(%s))", (schema,))
        connection.execute(sql.SQL("set local search_path to {}").format(sql.Identifier(schema)))
        connection.execute(
            "create table if not exists schema_migration"
            " (name text primary key, applied_at timestamptz not null default now())"
        )
        known = {row[0] for row in connection.execute("select name from schema_migration")}
        return [name for name, text in _files(folders) if _apply(connection, known, name, text)]


def _files(folders: Sequence[Path]) -> Iterator[tuple[str, str]]:
    for folder in (OWN, *folders):
        for path in sorted(folder.glob("*.sql")):
            yield f"{folder.name}/{path.name}", path.read_text(encoding="utf-8")


def _apply(connection: psycopg.Connection, known: set[str], name: str, text: str) -> bool:
    if name in known:
        return False
    schema = connection.execute("select current_schema()").fetchone()
    role = sql.Identifier(schema[0] if schema else "").as_string(connection)
    connection.execute(text.replace("{service}", role).encode())
    connection.execute("insert into schema_migration (name) values (%s)", (name,))
    return True


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
    for name in migrate(conninfo, arguments.schema, arguments.folder):
        print(f"{arguments.schema}: applied {name}")  # noqa: T201 - progress of a command


if __name__ == "__main__":
    main()
