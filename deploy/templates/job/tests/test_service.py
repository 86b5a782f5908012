"""The job on real PostgreSQL."""

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
EVERY_S = 0.2


@pytest.fixture(scope="module")
def database(infrastructure):
    with fresh_database(infrastructure, "sample", [MIGRATIONS]) as database:
        yield database


@pytest.fixture
def settings(database, stack, operator_trust, monkeypatch):
    own = {**operator_trust, "report_every_s": EVERY_S}
    return settings_of(Settings, stack, database, monkeypatch).model_copy(update=own)


async def reports(http, count):
    """The latest reports, once there are so many."""
    found = []
    while len(found) < count:
        found = (await http.get("/admin/reports", headers=signed_in("ops.read"))).json()["reports"]
        await asyncio.sleep(EVERY_S / 4)
    return found


async def test_two_instances_make_one_report_a_due_time(settings):
    other = build(settings.model_copy(update={"instance": 1}))
    async with running(build(settings)) as process, running(other), client_of(process) as http:
        found = await reports(http, 4)
    due = [one["due_at"] for one in found]
    assert due == sorted(set(due), reverse=True)


async def test_reports_go_on_after_a_restart(settings):
    async with running(build(settings)) as process, client_of(process) as http:
        before = await reports(http, 1)
    async with running(build(settings)) as process, client_of(process) as http:
        after = await reports(http, len(before) + 1)
    assert {one["due_at"] for one in before} < {one["due_at"] for one in after}
