"""docs/privacy.md classifies every column of every service; the schemas are the truth."""

import re
from collections import defaultdict
from pathlib import Path

import psycopg
import pytest

from local_stack.inventory import load_inventory
from testbed.database import fresh_database

pytestmark = pytest.mark.stack
ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs/privacy.md").read_text()
COMMON = "every service"
NAMED = DOCUMENT.partition("## Subjects")[0]
CLASSES = set(re.findall(r"^\| ([a-z' ,-]+) \| .* \|$", NAMED, re.MULTILINE)) - {"class"}
SERVICES = {one.name: one for one in load_inventory().with_database}
Columns = dict[str, dict[str, str]]


def documented() -> dict[str, Columns]:
    """Return service → table → column → class, as the document has them."""
    found: dict[str, Columns] = defaultdict(lambda: defaultdict(dict))
    for section in DOCUMENT.partition("## Columns")[2].split("### ")[1:]:
        name = section.partition("\n")[0].strip()
        for table, columns, kind, kept in re.findall(
            r"^\| `(\w+)` \| (.+?) \| (.+?) \| (.+?) \|$", section, re.MULTILINE
        ):
            assert kept.strip()
            for column in re.findall(r"`(\w+)`", columns):
                assert column not in found[name][table], f"{name}.{table}.{column}: twice"
                found[name][table][column] = kind
    return found


DOCUMENTED = documented()


def columns_of(dsn: str, schema: str) -> dict[str, dict[str, str]]:
    """Return table → column → type, of the tables of a schema."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    with psycopg.connect(dsn) as database:
        for table, column, kind in database.execute(
            """select table_name, column_name, data_type
               from information_schema.columns join information_schema.tables
                    using (table_schema, table_name)
               where table_schema = %s and table_type = 'BASE TABLE'""",
            (schema,),
        ):
            found[table][column] = kind
    found.pop("schema_migration", None)
    return found


@pytest.mark.parametrize("service", SERVICES)
def test_each_column_of_a_service_is_classified(infrastructure, service):
    folder = ROOT / "services" / service / "migrations"
    reader = SERVICES[service].reader
    with fresh_database(infrastructure, service, [folder], reader=reader) as database:
        real = columns_of(database.admin_dsn, service)
    expected = {**DOCUMENTED[COMMON], **DOCUMENTED[service]}
    assert {table: sorted(columns) for table, columns in real.items()} == {
        table: sorted(columns) for table, columns in expected.items() if table in real
    }
    assert set(DOCUMENTED[service]) <= set(real), "the document has tables that are gone"
    for table, columns in real.items():
        for column, kind in columns.items():
            if expected[table][column] == "sealed, subject's key":
                assert kind == "bytea", f"{table}.{column}"


def test_the_document_uses_its_own_classes_and_no_service_is_left_out():
    used = {
        kind
        for tables in DOCUMENTED.values()
        for columns in tables.values()
        for kind in columns.values()
    }
    assert used == CLASSES
    assert set(DOCUMENTED) == {COMMON, *SERVICES}


def test_what_identifies_a_person_in_clear_is_named_as_what_an_erasure_does_not_reach():
    left = DOCUMENT.partition("### What an erasure does not reach")[2].partition("## Columns")[0]
    for service, tables in DOCUMENTED.items():
        for table, columns in tables.items():
            for column, kind in columns.items():
                if kind == "identifies" and column != "former_address":
                    assert f"{service}.{table}" in left, f"{table}.{column}"
