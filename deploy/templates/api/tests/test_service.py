"""The API on real PostgreSQL and Kafka."""

from pathlib import Path
from uuid import UUID

import pytest
from payment_schemas.events.sample import SampleServiceChanged

from sample.app import build
from sample.settings import Settings
from testbed.database import fresh_database
from testbed.service import client_of, published_events, running, settings_of
from testkit.operators import signed_in

pytestmark = pytest.mark.stack
MIGRATIONS = Path(__file__).parents[1] / "migrations"


@pytest.fixture(scope="module")
def database(infrastructure):
    with fresh_database(infrastructure, "sample", [MIGRATIONS]) as database:
        yield database


@pytest.fixture
def settings(database, stack, operator_trust, monkeypatch, tmp_path):
    own = {
        **operator_trust,
        "most_items_a_page": 2,
        "most_document_bytes": 2_000_000,
        "object_folder": str(tmp_path),
    }
    return settings_of(Settings, stack, database, monkeypatch).model_copy(update=own)


@pytest.fixture
async def http(settings):
    async with running(build(settings)) as process, client_of(process) as http:
        http.headers.update(signed_in("ops.read", "ops.write"))
        yield http


async def create(http, name, **headers):
    return await http.post("/items", json={"name": name}, headers=headers)


async def test_a_repeated_key_creates_one_item_and_emits_one_event(http, stack):
    first, again = [await create(http, "one", **{"Idempotency-Key": "k"}) for _ in range(2)]
    assert (first.status_code, first.content) == (201, again.content)
    (event,) = await published_events(stack.brokers, SampleServiceChanged, first.json()["id"])
    assert (event.change, event.name, event.version) == ("created", "one", 1)


async def test_of_two_writers_that_have_read_one_version_the_second_is_refused(http, stack):
    item = (await create(http, "two")).json()
    seen = {"If-Match": '"1"'}
    answers = [
        await http.put(f"/items/{item['id']}", json={"name": name}, headers=seen)
        for name in ("three", "four")
    ]
    assert [one.status_code for one in answers] == [200, 412]
    events = await published_events(stack.brokers, SampleServiceChanged, item["id"], 2)
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


async def test_a_document_larger_than_a_body_may_be_is_streamed_both_ways(http):
    item, content = (await create(http, "documented")).json(), bytes(range(256)) * 6_000
    document = f"/items/{item['id']}/document"
    assert (await http.put(document, content=content)).json()["size"] == len(content)
    assert (await http.get(document)).content == content
    part = await http.get(document, headers={"Range": "bytes=1-3"})
    assert (part.status_code, part.content) == (206, b"\x01\x02\x03")


async def test_a_document_is_refused_where_it_is_too_large_damaged_or_of_no_item(http):
    item = (await create(http, "undocumented")).json()
    document, unknown = (f"/items/{one}/document" for one in (item["id"], UUID(int=1)))
    digest = {"Content-Digest": f"sha-256=:{'A' * 43}=:"}
    assert (await http.put(document, content=bytes(2_000_001))).status_code == 413
    assert (await http.put(document, content=b"a", headers=digest)).status_code == 400
    assert (await http.put(unknown, content=b"a")).status_code == 404
    assert (await http.get(document)).status_code == 404
