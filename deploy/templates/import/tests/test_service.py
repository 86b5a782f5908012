"""The import on real PostgreSQL and Kafka."""

import asyncio
from pathlib import Path

import pytest

from sample.app import build
from sample.settings import Settings
from testbed.database import fresh_database
from testbed.service import client_of, running, settings_of
from testkit.operators import signed_in

pytestmark = pytest.mark.stack
MIGRATIONS = Path(__file__).parents[1] / "migrations"
LINES = 600


@pytest.fixture
def database(infrastructure):
    with fresh_database(infrastructure, "sample", [MIGRATIONS]) as database:
        yield database


@pytest.fixture
def settings(database, stack, operator_trust, monkeypatch, tmp_path):
    own = {
        **operator_trust,
        "object_folder": str(tmp_path),
        "part_bytes": 64,
        "poll_s": 0.05,
    }
    return settings_of(Settings, stack, database, monkeypatch).model_copy(update=own)


async def kept(http, name, count):
    """Rows or refusals, once there are so many."""
    while True:
        found = (await http.get(f"/admin/{name}", headers=signed_in("ops.read"))).json()[name]
        if len(found) >= count:
            return found
        await asyncio.sleep(0.02)


async def test_files_are_imported_in_the_order_of_their_names(settings, tmp_path):
    (tmp_path / "2026-11-30.csv").write_text("nut,1\nbolt,2\n")
    async with running(build(settings)) as process, client_of(process) as http:
        await kept(http, "rows", 2)
        (tmp_path / "2026-12-01.csv").write_text("washer,3")
        rows = await kept(http, "rows", 3)
    assert [(one["file"], one["line"], one["name"]) for one in rows] == [
        ("2026-11-30.csv", 1, "nut"),
        ("2026-11-30.csv", 2, "bolt"),
        ("2026-12-01.csv", 1, "washer"),
    ]


async def test_a_bad_line_is_refused_with_file_line_and_field_and_the_others_are_kept(
    settings, tmp_path
):
    (tmp_path / "a.csv").write_bytes(b"nut,1\nbolt,many\nwasher,3\n")
    async with running(build(settings)) as process, client_of(process) as http:
        assert [one["line"] for one in await kept(http, "rows", 2)] == [1, 3]
        (refusal,) = await kept(http, "refusals", 1)
    assert (refusal["file"], refusal["line"], refusal["field"]) == ("a.csv", 2, "quantity")
    assert refusal["content"] == "bolt,many"


async def test_an_import_that_is_killed_goes_on_at_its_row(settings, tmp_path):
    (tmp_path / "a.csv").write_text("".join(f"bolt,{n}\n" for n in range(LINES)))

    async def until(count):
        async with running(build(settings)) as process, client_of(process) as http:
            return len(await kept(http, "rows", count))

    assert await until(1) < LINES
    assert await until(LINES) == LINES
