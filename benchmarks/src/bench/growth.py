"""A history of payments, created by SQL as copies of real payments with other ids."""

from collections.abc import Iterator, Mapping, Sequence

from psycopg import sql

from bench.errors import BenchmarkError
from bench.meters import GROUPS
from bench.system import System

_EXCLUDED = {"outbox", "dead_letter", "recent_payment", "review_case", "reconciliation_case"}
"""Tables without lasting rows of settled payments."""
_SLICE = 20_000
"""Payments added by one statement."""
_TEXTS = {"transaction_id", "tx_id", "idempotency_key"}
_REFERENCE = "reference"


def grow(system: System, run: str, payments: int) -> int:
    """Copy up to 1,000 of the run's payments until confirm has about that many; return the number.

    All services' tables get rows. Raises BenchmarkError if the run has no settled payment.
    """
    columns = _columns(system)
    with system.database() as cursor:
        # The copies are consistent, so foreign keys need no check.
        cursor.execute("set session_replication_role = replica")
        cursor.execute("create temp table template as " + _TEMPLATE, {"run": run})
        cursor.execute("select count(*) as count from template")
        copied = int(str(cursor.fetchall()[0]["count"]))
        if not copied:
            raise BenchmarkError(f"no payment of {run} has settled; next: read the services' logs")
        while (missing := payments - _count(system)) >= copied:
            copies = min(missing, _SLICE) // copied or 1
            first = _count(system)
            for place, names in columns.items():
                cursor.execute(_copy(place, names, (first, copies)))
            system.tell(f"{_count(system):,} payments")
        cursor.execute(_BALANCES)
        cursor.execute("analyze")
    return _count(system)


_TEMPLATE = """
select payment.id as payment_id from confirm.payment
where transaction_id >= %(run)s || '-' and transaction_id < %(run)s || '.'
  and settlement_status = 'SETTLED'
limit 1000"""

_BALANCES = """
update confirm.account set balance_minor = posted.total
from (select account_id, sum(amount_minor) as total from confirm.entry group by 1) as posted
where posted.account_id = account.id and balance_minor <> posted.total"""

_BELONGS: Mapping[tuple[str, str], str] = {
    ("confirm", "payment"): "id in (select payment_id from template)",
    ("confirm", "journal"): "payment_id in (select payment_id from template)",
    ("confirm", "entry"): (
        "journal_id in (select id from confirm.journal join template using (payment_id))"
    ),
    ("risk", "assessment"): "id in (select payment_id from template)",
    ("settlement", "instruction"): "id in (select payment_id from template)",
    ("notification", "delivery"): "payment_id in (select payment_id from template)",
    ("audit", "audit_log"): "payment_id in (select payment_id from template)",
}
_EVENTS = "event_id in (select event_id from audit.audit_log join template using (payment_id))"


def _columns(system: System) -> dict[tuple[str, str], Sequence[tuple[str, str]]]:
    """Return name and type of the columns of every table that grows with payments."""
    with system.database() as cursor:
        cursor.execute(
            """select table_schema, table_name, column_name, data_type
               from information_schema.columns
               where table_schema = any(%s) and is_identity = 'NO'
               order by table_schema, table_name, ordinal_position""",
            (list(GROUPS),),
        )
        found: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for row in cursor:
            place = (str(row["table_schema"]), str(row["table_name"]))
            if place in _BELONGS or place[1] == "inbox":
                found.setdefault(place, []).append((str(row["column_name"]), str(row["data_type"])))
        return dict(found)


def _copy(
    place: tuple[str, str], columns: Sequence[tuple[str, str]], numbers: tuple[int, int]
) -> sql.Composed:
    """Return the statement that adds numbered copies with their own ids."""
    first, copies = numbers
    return sql.SQL(
        "insert into {table} ({names}) select {values} from {table} as t,"
        " generate_series({first}, {last}) as copy where {belongs} on conflict do nothing"
    ).format(
        table=sql.Identifier(*place),
        names=sql.SQL(", ").join(sql.Identifier(name) for name, _ in columns),
        values=sql.SQL(", ").join(_values(columns)),
        first=sql.Literal(first),
        last=sql.Literal(first + copies - 1),
        belongs=sql.SQL(_BELONGS.get(place, _EVENTS)),
    )


def _values(columns: Sequence[tuple[str, str]]) -> Iterator[sql.Composed]:
    """Yield column values; equal ids get equal new ids, so that copies refer to copies."""
    for name, kind in columns:
        column = sql.Identifier("t", name)
        if kind == "uuid":
            yield sql.SQL("md5({}::text || ':' || copy)::uuid").format(column)
        elif name in _TEXTS:
            yield sql.SQL("{} || '-' || copy").format(column)
        elif name == _REFERENCE:
            yield sql.SQL("substr(upper(md5({} || ':' || copy)), 1, 10)").format(column)
        else:
            yield sql.SQL("{}").format(column)


def _count(system: System) -> int:
    with system.database() as cursor:
        cursor.execute("select count(*) as count from confirm.payment")
        return int(str(cursor.fetchall()[0]["count"]))
