"""Operators' view of all partners: statements by day, a case with both sides, what is at a bank."""

from dataclasses import replace
from datetime import timedelta

import pytest
from httpx import ASGITransport, AsyncClient
from settlement_builders import NOW, instruction, kafka_partner

from payment_schemas.money import Money
from service_runtime.web import create_app
from settlement.domain import Status
from settlement.domain.statements import StatementEntry
from settlement.routes import CaseOperations, case_routes
from settlement.routes.overview import HttpProfile, Overview, overview_routes
from settlement.store import NewInstruction
from testkit.operators import operators, signed_in

pytestmark = pytest.mark.stack
READ = signed_in("ops.read")
UNKNOWN = StatementEntry(
    instruction(9).uetr, Money(4_200, "USD"), bank_reference="B-9", booked_at=NOW
)
MINUTE = timedelta(minutes=1)


@pytest.fixture
async def http(postgres_world):
    world = postgres_world
    profile = HttpProfile(is_idempotent=True, in_flight_s=60.0, batch_rows=100, concurrency=2)
    by_http = {"first-bank": profile, "north-bank": profile}
    found = Overview(world.database, world.clock, by_http, lambda name: name == "north-bank")
    app = create_app("settlement", {}, world.clock)
    app.include_router(overview_routes(found, operators()))
    cases = CaseOperations(
        world.database, world.cases, world.reconciliation(), world.resolutions().resolve
    )
    app.include_router(case_routes(cases, operators()))
    async with AsyncClient(
        transport=ASGITransport(app), base_url="http://test", headers=dict(READ)
    ) as client:
        yield client


def entry(number):
    row = instruction(number)
    return StatementEntry(row.uetr, row.money, bank_reference=f"B-{number}", booked_at=NOW)


async def add(world, *rows):
    async with world.database.transaction() as tx:
        await world.store(tx).add([NewInstruction(row) for row in rows])
    async with world.database.transaction() as tx:
        changed = [row for row in rows if row.status is not Status.QUEUED]
        await world.store(tx).save(changed, {row.payment_id: 0 for row in changed})


async def test_a_day_has_what_matched_and_what_is_broken(http, postgres_world):
    world = postgres_world
    await add(world, *(instruction(n, status=Status.SETTLED) for n in (1, 2)))
    world.bank.statements[NOW.date()] = [entry(1), entry(2), UNKNOWN]
    await world.reconciliation().reconcile("first-bank", NOW.date())

    found = (await http.get("/admin/statements", params={"days": 2})).json()["days"]

    days = {(row["partner"], row["day"]): row for row in found}
    today, yesterday = "2026-03-02", "2026-03-01"
    assert set(days) == {(p, d) for p in ("first-bank", "north-bank") for d in (today, yesterday)}
    assert [row["day"] for row in found] == [today, today, yesterday, yesterday]
    read = days["first-bank", today]
    assert (read["booked"], read["matched"], read["open"], read["resolved"]) == (3, 2, 1, 0)
    assert read["read_at"] is not None
    other = days["north-bank", today]
    assert (other["booked"], other["matched"], other["open"], other["read_at"]) == (0, 0, 0, None)


async def test_a_case_has_both_sides_and_its_day_lists_it_by_pages(http, postgres_world):
    world = postgres_world
    await add(world, instruction(1, status=Status.SETTLED))
    differs = replace(entry(1), money=Money(520_001, "USD"))
    world.bank.statements[NOW.date()] = [differs, UNKNOWN]
    await world.reconciliation().reconcile("first-bank", NOW.date())

    path = "/admin/statements/first-bank/2026-03-02/cases"
    first = (await http.get(path, params={"limit": 1})).json()
    second = (await http.get(path, params={"limit": 1, "after": first["next"]})).json()
    listed = [*first["cases"], *second["cases"]]
    assert {case["kind"] for case in listed} == {"AMOUNT_DIFFERS", "MISSING_HERE"}
    assert (
        second["next"] is None
        or not (await http.get(path, params={"after": second["next"]})).json()["cases"]
    )

    sides = {case["kind"]: (await http.get(f"/admin/cases/{case['id']}")).json() for case in listed}
    ours, theirs = sides["AMOUNT_DIFFERS"]["instruction"], sides["AMOUNT_DIFFERS"]["bookings"]
    assert (ours["amount_minor"], ours["status"]) == (520_000, "SETTLED")
    assert [(one["amount_minor"], one["bank_reference"]) for one in theirs] == [(520_001, "B-1")]
    assert sides["MISSING_HERE"]["instruction"] is None
    assert sides["MISSING_HERE"]["bookings"][0]["amount_minor"] == 4_200


async def test_a_partner_shows_what_waits_there_by_age_and_its_breaker(http, postgres_world):
    world = postgres_world
    sent = [
        instruction(n, status=Status.SENT, sent_at=NOW - age)
        for n, age in ((1, MINUTE / 2), (2, 2 * MINUTE), (3, 90 * MINUTE))
    ]
    await add(world, *sent, instruction(4), instruction(5, status=Status.RECONCILE))
    await add(world, instruction(6, status=Status.SETTLED))
    for row in sent:
        seconds = (NOW - row.sent_at).total_seconds()
        await world.execute(
            f"update settlement.instruction set sent_at = now() - {seconds} * interval '1 second'"  # noqa: S608
            f" where id = '{row.payment_id}'"
        )
    await world.add_partner(kafka_partner(suspended_at=NOW))

    found = (await http.get("/admin/partner-activity")).json()["partners"]

    by_name = {row["partner"]: row for row in found}
    first = by_name["first-bank"]
    assert (first["unanswered"], first["over_1_minute"]) == (3, 2)
    assert (first["over_5_minutes"], first["over_1_hour"]) == (1, 1)
    assert 5_390 < first["oldest_s"] < 5_500
    assert (first["queued"], first["for_people"], first["settled"]) == (1, 1, 1)
    assert (first["is_open"], by_name["north-bank"]["is_open"]) == (False, True)
    kafka = by_name["kafka-bank"]
    assert (kafka["transport"], kafka["is_open"], kafka["profile"]["format"]) == (
        "kafka", None, "json",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/admin/statements?days=0", 400),
        ("/admin/statements?days=32", 400),
        ("/admin/statements/first-bank/yesterday/cases", 400),
        ("/admin/statements/FIRST/2026-03-02/cases", 400),
        ("/admin/statements/first-bank/2026-03-02/cases?after=x", 400),
        ("/admin/statements/no-bank/2026-03-02/cases", 200),
    ],
)
async def test_what_no_page_asks_for_is_refused(http, path, status):
    assert (await http.get(path)).status_code == status
    del http.headers["Authorization"]
    assert (await http.get(path)).status_code == 401
