"""Operators' search and figures of now: newest first, bounded, by indexes."""

from datetime import timedelta
from uuid import UUID

import httpx
import pytest
from confirm_builders import first_request

from confirm.routes import BY_TIME, END, LAST, Access, routes
from confirm.store.search import MOST_SCANNED, Wanted, activity, search
from service_runtime.credentials import Credentials
from service_runtime.http_unit import HttpUnitOfWork
from service_runtime.web import create_app
from testkit.operators import operators, signed_in
from testkit.plans import rows_touched, touched_since

pytestmark = pytest.mark.stack
HISTORY = 5000
PAGE = 50


@pytest.fixture
async def world(postgres_world):
    """Five thousand payments of one user, settled yesterday, and one that waits for risk now."""
    await postgres_world.open_account("acc-1", "usr-456", 1_000_000_00)
    await postgres_world.add_history(1, HISTORY)
    await postgres_world.take(first_request(transaction_id="waits", idempotency_key="k-waits"))
    return postgres_world


@pytest.fixture
async def http(world):
    app = create_app("confirm", {}, world.clock)
    requests = HttpUnitOfWork(world.unit, "confirm", world.clock)
    access = Access(Credentials("{}"), operators())
    app.include_router(routes(world.database, requests, access, {"USD"}, world.clock))
    transport = httpx.ASGITransport(app)
    headers = signed_in("ops.read")
    async with httpx.AsyncClient(
        transport=transport, base_url="http://confirm", headers=headers
    ) as client:
        yield client


async def found(http, **query):
    response = await http.get("/admin/payments/search", params={"limit": PAGE, **query})
    assert response.status_code == 200, response.text
    return response.json()


def names(page):
    return [payment["transaction_id"] for payment in page["payments"]]


async def test_pages_go_from_the_newest_payment_back_without_gap_or_repeat(http):
    first = await found(http)
    second = await found(http, after=first["next"])
    newest = ["waits", *(f"tx-{n}" for n in range(HISTORY, HISTORY - 2 * PAGE, -1))]
    assert names(first) + names(second) == newest[: 2 * PAGE]
    assert first["payments"][0]["state"] == "AWAITING_RISK"
    assert "entries" not in first["payments"][0]


async def test_a_filter_that_matches_nothing_says_how_far_it_has_looked_and_ends(http):
    pages, after = [], None
    while not pages or after:
        pages.append(await found(http, amount_minor=77, **({"after": after} if after else {})))
        after = pages[-1]["next"]
    assert len(pages) == 1 + HISTORY // MOST_SCANNED
    assert [names(page) for page in pages] == [[]] * len(pages)
    looked = [page["searched_to"] for page in pages[:-1]]
    assert looked == sorted(looked, reverse=True)
    assert pages[-1]["searched_to"] is None


@pytest.mark.parametrize("most_of_user", [HISTORY, HISTORY + 1])
async def test_each_field_narrows_the_search(http, monkeypatch, most_of_user):
    """Also where a user has more payments than a page looks at: they are searched by time."""
    monkeypatch.setattr("confirm.store.search.MOST_OF_USER", most_of_user)
    for query, count in (
        ({"user_id": "usr-456"}, PAGE),
        ({"user_id": "usr-9"}, 0),
        ({"user_id": "usr-456", "status": "AWAITING_RISK"}, 1),
        ({"user_id": "usr-456", "amount_minor": 77}, 0),
        ({"account": "acc-1"}, PAGE),
        ({"account": "payee"}, PAGE),
        ({"account": "acc-2"}, 0),
        ({"status": "AWAITING_RISK"}, 1),
        ({"settlement_status": "SETTLED", "limit": 3}, 3),
        ({"amount_minor": 1, "currency": "USD"}, PAGE),
        ({"amount_minor": 1, "currency": "EUR"}, 0),
    ):
        assert len((await found(http, **query))["payments"]) == count, query


async def test_times_bound_the_creation(http, world):
    (newest,) = (await found(http, limit=1))["payments"]
    assert names(await found(http, since=newest["created_at"])) == ["waits"]
    assert names(await found(http, until=newest["created_at"], limit=1)) == [f"tx-{HISTORY}"]


async def test_a_cursor_without_a_zone_is_one_in_utc(http):
    cursor = BY_TIME.cursor_of({"created_at": "2999-01-01T00:00:00", "payment_id": UUID(int=1)})
    later = {"after": cursor, "until": "2998-01-01T00:00:00Z"}
    assert len((await found(http, **later))["payments"]) == PAGE


async def test_a_field_that_is_not_valid_is_refused(http):
    for query in (
        {"status": "SETTLED"},
        {"amount_minor": "0"},
        {"currency": "XXY"},
        {"since": "yesterday"},
        {"limit": "501"},
        {"after": "x"},
        {"account": "a b"},
        {"user_id": "\x00"},
    ):
        response = await http.get("/admin/payments/search", params=query)
        assert response.status_code == 400, query


async def test_a_page_looks_at_a_bounded_number_of_rows(world):
    async with world.database.transaction() as tx:
        before = await rows_touched(tx)
        page = await search(tx, Wanted(amount_minor=77), (END, LAST), PAGE)
        touched = await touched_since(before, tx)
    assert page.payments == []
    assert {name: counts["scanned"] for name, counts in touched.items()}.keys() >= {"payment"}
    for table, counts in touched.items():
        assert counts["scanned"] == 0, table
        assert counts["read"] <= 2 * MOST_SCANNED, (table, counts)


async def test_the_figures_of_now_are_of_the_newest_payments_and_of_what_is_in_flight(http, world):
    now = (await http.get("/admin/payments/activity")).json()
    assert [(one["status"], one["payments"]) for one in now["newest"]] == [("AWAITING_RISK", 1)]
    assert [(one["status"], one["payments"]) for one in now["in_flight"]] == [("AWAITING_RISK", 1)]
    async with world.database.transaction() as tx:
        yesterday = await activity(tx, world.clock.now() - timedelta(days=1))
    assert sum(one["payments"] for one in yesterday["newest"]) == yesterday["newest_at_most"]


async def test_a_reference_finds_its_payment(http):
    found = await http.get("/admin/payments", params={"transaction_id": "ref-77"})
    assert [one["payment_id"] for one in found.json()["payments"]] == [str(UUID(int=77))]


async def test_payments_are_found_by_their_ids_and_unknown_ones_are_left_out(http):
    (waits,) = (await found(http, status="AWAITING_RISK"))["payments"]
    ids = [waits["payment_id"], str(UUID(int=77)), str(UUID(int=2**127))]
    reply = await http.get("/admin/payments/named", params={"payment_id": ids})
    named = reply.json()["payments"]
    assert {one["payment_id"] for one in named} == set(ids[:2])
    assert {one["state"] for one in named} == {"AWAITING_RISK", "CONFIRMED"}
    for wrong in (["x"], [], [str(UUID(int=n)) for n in range(101)]):
        reply = await http.get("/admin/payments/named", params={"payment_id": wrong})
        assert reply.status_code == 400
        assert reply.json()["error"].startswith("Invalid field: payment_id")
