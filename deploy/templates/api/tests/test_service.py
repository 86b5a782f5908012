"""The API on real PostgreSQL and Kafka."""

from pathlib import Path
from uuid import UUID

import pytest
from payment_schemas.events.sample import SampleServiceChanged

from sample.app import build
from sample.settings import Settings
from testbed.database import fresh_database
from testbed.service import callers, client_of, running, settings_of, told

pytestmark = pytest.mark.stack
MIGRATIONS = Path(__file__).parents[1] / "migrations"


@pytest.fixture(scope="module")
def database(infrastructure):
    with fresh_database(infrastructure, "sample", [MIGRATIONS]) as database:
        yield database


@pytest.fixture
def settings(database, stack, monkeypatch):
    own = {"internal_credentials": callers("ops.read", "ops.write"), "most_items_a_page": 2}
    return settings_of(Settings, stack, database, monkeypatch).model_copy(update=own)


@pytest.fixture
async def http(settings):
    async with running(build(settings)) as process, client_of(process) as http:
        yield http


async def create(http, name, **headers):
    return await http.post("/items", json={"name": name}, headers=headers)


async def test_a_repeated_key_creates_one_item_and_emits_one_event(http, settings):
    first, again = [await create(http, "one", **{"Idempotency-Key": "k"}) for _ in range(2)]
    assert (first.status_code, first.content) == (201, again.content)
    (event,) = await told(settings, SampleServiceChanged, first.json()["id"])
    assert (event.change, event.name, event.version) == ("created", "one", 1)


async def test_of_two_writers_that_have_read_one_version_the_second_is_refused(http, settings):
    item = (await create(http, "two")).json()
    seen = {"If-Match": '"1"'}
    answers = [
        await http.put(f"/items/{item['id']}", json={"name": name}, headers=seen)
        for name in ("three", "four")
    ]
    assert [one.status_code for one in answers] == [200, 412]
    events = await told(settings, SampleServiceChanged, item["id"], 2)
    assert [one.change for one in events] == ["created", "renamed"]


async def test_what_cannot_be_done_is_refused_with_its_status(http):
    item = (await create(http, "five")).json()
    unknown = f"/items/{UUID(int=1)}"
    assert (await create(http, "five")).status_code == 409
    assert (await create(http, "")).status_code == 400
    assert (await http.get(unknown)).status_code == 404
    assert (await http.delete(unknown)).status_code == 404
    assert (await http.delete(f"/items/{item['id']}")).status_code == 200
    assert (await http.get(f"/items/{item['id']}")).status_code == 404


async def test_a_listing_goes_on_page_by_page_until_its_end(http):
    for number in range(3):
        await create(http, f"listed {number}")
    names, after = [], {}
    while True:
        page = (await http.get("/items", params=after)).json()
        names += [item["name"] for item in page["items"]]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert len(names) == len(set(names)) >= 3
