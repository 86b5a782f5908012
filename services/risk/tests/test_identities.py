"""What compliance has announced of identity checks: the last event counts, and ends by its time."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from payment_schemas.events.kyc import KycStatusChanged
from risk.clients import KnownFirst, MemoryIdentities
from risk.handlers import on_kyc_status_changed
from risk.store import KnownIdentities, known_statuses
from service_runtime.clock import SystemClock
from service_runtime.messages import Batch
from testbed.database import fresh_database
from testbed.service import database_of
from testkit.events import received

pytestmark = pytest.mark.stack
MIGRATIONS = Path(__file__).parents[1] / "migrations"


@pytest.fixture
async def announced(infrastructure, tmp_path):
    """Return risk's database."""
    with fresh_database(infrastructure, "risk", [MIGRATIONS]) as fresh:
        async with database_of(fresh.dsn, tmp_path) as database:
            yield database


async def announce(database, *events):
    batch = Batch([received(event, uuid4()) for event in events], SystemClock().now())
    async with database.transaction() as tx:
        assert await on_kyc_status_changed(batch, KnownIdentities(tx)) == ()


async def known(database, *users):
    async with database.transaction() as tx:
        return dict(await known_statuses(tx, users))


def changed(status, version, **fields):
    return KycStatusChanged(**{"user_id": "usr-1", "status": status, "version": version, **fields})


async def test_the_last_version_counts_in_whatever_order_events_come(announced):
    await announce(announced, changed("verified", 3), changed("rejected", 5), changed("pending", 4))
    assert await known(announced, "usr-1", "usr-2") == {"usr-1": "rejected"}
    await announce(announced, changed("verified", 4))
    assert await known(announced, "usr-1") == {"usr-1": "rejected"}
    await announce(announced, changed("verified", 6))
    assert await known(announced, "usr-1") == {"usr-1": "verified"}


async def test_a_verification_ends_by_its_time_without_an_event(announced):
    now = datetime.now(UTC)
    for number, (until, status) in enumerate(
        [(now + timedelta(hours=1), "verified"), (now - timedelta(seconds=1), "expired")]
    ):
        await announce(announced, changed("verified", number, valid_until=until))
        assert await known(announced, "usr-1") == {"usr-1": status}


async def test_only_users_of_whom_nothing_is_announced_are_looked_up(announced):
    await announce(announced, changed("rejected", 1))
    others = MemoryIdentities({"usr-2": "pending"})
    first = KnownFirst(announced, known_statuses, others)
    assert await first.statuses({"usr-1", "usr-2"}) == {"usr-1": "rejected", "usr-2": "pending"}
    assert await first.statuses({"usr-1"}) == {"usr-1": "rejected"}
    assert [sorted(query) for query in others.queries] == [["usr-2"]]
