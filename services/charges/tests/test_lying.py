"""A provider that lies: what it takes is found out, and our own books stay right."""

from pathlib import Path

import pytest
from charges_world import until, world_of

from testbed.database import fresh_database
from testkit.operators import signed_in

pytestmark = pytest.mark.stack
MOST = 100
CONTRADICTS = "a provider contradicts what was decided"


@pytest.fixture(scope="module")
def own_database(infrastructure):
    folder = Path(__file__).parents[1] / "migrations"
    with fresh_database(infrastructure, "charges", [folder]) as database:
        yield database


@pytest.fixture
async def world(own_database, settings, port, mocks):
    own = settings.model_copy(update={"database_url": own_database.dsn})
    async with world_of(own, port, mocks) as found:
        yield found


async def violations(world):
    response = await world.http.get("/admin/check", headers=signed_in("ops.read"))
    return response.json()["violations"]


@pytest.mark.parametrize("liar", ["stripe", "adyen"])
async def test_money_that_a_provider_says_it_did_not_take_is_named_by_the_check(world, liar):
    before = len(await violations(world))
    mock = world.mocks[liar]
    for fault in ("says_declined", "webhook_late"):
        mock.switch(fault)
    paid, cheated = [], []
    while not cheated:  # until routing has chosen the liar first
        assert len(paid) < MOST
        paid.append((await world.pay()).json())
        cheated = [one for one in paid if mock.payments(one["transactionId"])]
    assert {one["status"] for one in paid} == {"success"}
    for one in paid:
        await world.ends(one["transactionId"], "CAPTURED")

    async def named():
        found = await violations(world)
        return found if len(found) == before + len(cheated) else None

    found = await until(named)
    assert {one["details"] for one in found} <= {CONTRADICTS}
    ids = {one["payment_id"].replace("-", "") for one in found}
    assert {one["transactionId"].removeprefix("txn_") for one in cheated} <= ids
