"""A history of payments, made by SQL: copies of real payments' rows in every table, with other ids.

A row belongs to a payment by the first of a few columns that its table has, so tables that services
add or change are followed without a list.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import psycopg
from psycopg import sql

from bench.errors import BenchmarkError
from bench.meters import GROUPS
from bench.system import System

TEMPLATES = 1000
_OWNERS = ("payment_id", "source_id", "id")
"""`source_id` is that of a ledger's transfers."""
_EXCLUDED = {"recent_payment"}
"""Risk's velocity: a history of an hour ago would not be in it."""
_TEXTS = {"transaction_id", "tx_id", "idempotency_key"}
_REFERENCE = "reference"
_NEW_ID = "(lpad(to_hex(copy), 8, '0') || substr(md5({}::text), 9))::uuid"
"""Begins with the number of the copy: rows enter an index at its end, as in production."""
_BALANCED = (
    """update confirm.account set balance_minor = total
       from (select account_id, sum(amount_minor) as total
             from confirm.ledger_entry group by 1) as sums
       where account_id = account.id""",
    "delete from confirm.ledger_checkpoint",
    "update confirm.ledger_frontier set posted_before = '-infinity'",
)
"""The copied transfers move money, too: the next check adds them up, as a whole check does."""
_SLICE = 100_000
"""Payments added by one statement."""
_AT_ONCE = 3

Columns = Sequence[tuple[str, str]]
"""Names and types."""


class History:
    """Adds copies of settled payments."""

    def __init__(self, system: System, ids: Sequence[str]) -> None:
        if not ids:
            raise BenchmarkError("no payment to copy; next: read the services' logs")
        self._dsn = system.found.admin_dsn
        self._tell = system.tell
        self._ids = ids[:TEMPLATES]
        self._tables = tables_of_payments(system)
        self.size = len(ids)

    def grow(self, payments: int) -> None:
        """Add copies until there are about that many payments."""
        while (missing := payments - self.size) >= len(self._ids):
            copies = min(missing, _SLICE) // len(self._ids)
            first = self.size
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                jobs = [pool.submit(self._copy, place, first, copies) for place in self._tables]
            for job in jobs:
                job.result()
            self.size += copies * len(self._ids)
            self._tell(f"{self.size:,} payments")
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            connection.execute("set session_replication_role = replica")
            for statement in _BALANCED:
                connection.execute(statement)
            connection.execute("vacuum analyze")

    def _copy(self, place: tuple[str, str], first: int, copies: int) -> None:
        columns = self._tables[place]
        statement = sql.SQL(
            "insert into {table} ({names}) select {values} from {table} as t,"
            " generate_series({first}, {last}) as copy where t.{owner} = any(%s::uuid[])"
            " on conflict do nothing"
        ).format(
            table=sql.Identifier(*place),
            names=sql.SQL(", ").join(sql.Identifier(name) for name, _ in columns),
            values=sql.SQL(", ").join(_values(columns)),
            first=sql.Literal(first),
            last=sql.Literal(first + copies - 1),
            owner=sql.Identifier(owner_of(columns) or ""),
        )
        with psycopg.connect(self._dsn) as connection:
            # The copies are consistent, so foreign keys need no check.
            connection.execute("set session_replication_role = replica")
            connection.execute(statement, (list(self._ids),))


def tables_of_payments(system: System) -> Mapping[tuple[str, str], Columns]:
    """Return the columns of every table with rows of payments."""
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    with system.database() as cursor:
        cursor.execute(
            """select nspname, relname, attname, format_type(atttypid, null) as kind
               from pg_attribute join pg_class on pg_class.oid = attrelid
               join pg_namespace on pg_namespace.oid = relnamespace
               where nspname = any(%s) and relkind in ('r', 'p') and not relispartition
                 and attnum > 0 and not attisdropped and attgenerated = '' and attidentity = ''
               order by nspname, relname, attnum""",
            (list(GROUPS),),
        )
        for row in cursor:
            place = (str(row["nspname"]), str(row["relname"]))
            found.setdefault(place, []).append((str(row["attname"]), str(row["kind"])))
    return {
        place: columns
        for place, columns in found.items()
        if owner_of(columns) and place[1] not in _EXCLUDED
    }


def owner_of(columns: Columns) -> str | None:
    """Return the column that names the payment."""
    return next((name for name in _OWNERS if (name, "uuid") in columns), None)


def _values(columns: Columns) -> Iterator[sql.Composed]:
    """Yield column values; equal ids get equal new ids, so that copies refer to copies."""
    for name, kind in columns:
        column = sql.Identifier("t", name)
        if kind == "uuid":
            yield sql.SQL(_NEW_ID).format(column)
        elif kind == "bytea" and ("payment_id", "uuid") in columns:
            # The audit log's bytes name their payment.
            new_id = sql.SQL(_NEW_ID).format(sql.Identifier("t", "payment_id"))
            yield sql.SQL(
                "convert_to(replace(convert_from({}, 'UTF8'),"
                " t.payment_id::text, {}::text), 'UTF8')"
            ).format(column, new_id)
        elif name in _TEXTS:
            yield sql.SQL("{} || '-' || copy").format(column)
        elif name == _REFERENCE:
            yield sql.SQL("substr(upper(md5({} || ':' || copy)), 1, 10)").format(column)
        else:
            yield sql.SQL("{}").format(column)
