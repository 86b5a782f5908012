"""Exceptions: by two people, until a day, for one entry; and what a screening makes of them."""

from datetime import date, timedelta
from uuid import uuid4

import psycopg
import pytest

from payment_schemas.events.record import AuditRecorded
from screening.clients import Current
from screening.domain.analysis import Party
from screening.domain.entries import Entry, SanctionsList
from screening.domain.exceptions import LONGEST, fault_of
from screening.domain.matching import Screener
from service_runtime.clock import SystemClock
from testbed.service import SECRET, published_events
from testkit.operators import actor, approval_of, signed_in

pytestmark = pytest.mark.stack
MACHINE = {"Authorization": f"Bearer {SECRET}"}
ANN, BEN = (
    signed_in("compliance.write", "ops.read", name=name) for name in ("excepts", "approves")
)
READER = signed_in("ops.read", name="reads")
NAME = "Tariq Quereshani"
"""Like the invented entry 1002; here it is an innocent customer's."""


def today():
    return SystemClock().now().date()


def body(account, entry="1002", **fields):
    ends = (today() + timedelta(days=90)).isoformat()
    reason = "born 1990 in Oslo; passport seen"
    given = {"account_id": account, "list": "DEMO", "entry": entry, "reason": reason}
    return given | {"last_day": ends} | fields


async def proposed(http, account, by=ANN, **fields):
    return await http.post("/admin/exceptions", json=body(account, **fields), headers=by)


async def excepted(http, account, **fields):
    reply = await proposed(http, account, **fields)
    assert reply.status_code == 202, reply.text
    approved = await http.post(**approval_of(reply.json()), headers=BEN)
    assert approved.status_code == 200, approved.text
    return approved.json()["id"]


async def screened(http, account, name=NAME):
    parties = [{"id": "1", "account_id": account, "name": name}]
    reply = await http.post("/screenings:batch", json={"parties": parties}, headers=MACHINE)
    assert reply.status_code == 200, reply.text
    return reply.json()["results"][0]


@pytest.fixture
def account():
    return f"payee-{uuid4().hex[:10]}"


async def test_two_people_let_a_wrongly_hit_customer_pass_until_one_ends_it(http, account):
    assert (await screened(http, account))["entry"]["id"] == "1002"

    name = await excepted(http, account)

    passed = await screened(http, account)
    assert (passed["hit"], passed["screened_by"]) == (False, ["account", "name"])
    assert passed["excepted"] == [{"list": "DEMO", "id": "1002"}]
    listed = await http.get("/admin/exceptions", params={"account_id": account}, headers=READER)
    (shown,) = listed.json()["exceptions"]
    assert (shown["id"], shown["is_active"]) == (name, True)
    assert (shown["proposed_by"], shown["approved_by"]) == (actor("excepts"), actor("approves"))

    ended = await http.post(f"/admin/exceptions/{name}/end", headers=ANN)
    assert (ended.status_code, ended.json()["account_id"]) == (200, account)
    assert (await screened(http, account))["hit"]
    again = await http.post(f"/admin/exceptions/{name}/end", headers=BEN)
    assert again.status_code == 409


async def test_an_exception_is_of_one_account_and_one_entry(http, account):
    await excepted(http, account)
    assert (await screened(http, f"{account}-2"))["hit"]
    assert (await screened(http, account, "Oleskandr Varennikov"))["entry"]["id"] == "1001"
    listed = await screened(http, "payee-sanctioned", NAME)
    assert (listed["hit"], listed["entry"]["id"]) == (True, "1004")


async def test_a_listed_account_is_never_excepted(http):
    await excepted(http, "payee-sanctioned", entry="1004")
    assert (await screened(http, "payee-sanctioned", "Sanctioned Person"))["hit"]


async def test_one_person_is_not_enough(http, account):
    reply = await proposed(http, account)
    own = await http.post(**approval_of(reply.json()), headers=ANN)
    assert (own.status_code, "second person" in own.text) == (409, True)
    assert (await screened(http, account))["hit"]


async def test_the_second_person_reads_the_entry(http, account):
    reply = (await proposed(http, account)).json()
    assert (reply["act"], reply["about"]) == ("SCREENING_EXCEPTION", f"{account} is not DEMO 1002")
    read = await http.get(f"/admin/proposals/{reply['proposal']}", headers=BEN)
    entry = read.json()["body"]["entry"]
    assert (entry["version"], entry["birth_dates"]) == ("2026-11-01", ["1971"])


async def test_the_audit_log_has_every_step(http, account, stack):
    name = await excepted(http, account)
    await http.post(f"/admin/exceptions/{name}/end", headers=BEN)
    about = f"{account} is not DEMO 1002"
    for person, steps in (("excepts", ["PROPOSED"]), ("approves", ["APPROVED", "ENDED"])):
        found = await _acts(stack, actor(person), about, len(steps))
        assert found == [f"SCREENING_EXCEPTION_{step}" for step in steps]


async def _acts(stack, person, about, count):
    """Return a person's acts about something, once there are so many."""
    records = 0
    while True:
        records += 1
        found = await published_events(stack.brokers, AuditRecorded, person, records)
        acts = [one.action for one in found if one.about == about]
        if len(acts) == count:
            return acts


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"entry": "9"}, "entry"),
        ({"list": "OFAC"}, "entry"),
        ({"last_day": "2020-01-01"}, "last_day"),
        ({"last_day": "2999-01-01"}, "last_day"),
        ({"last_day": "tomorrow"}, "last_day"),
        ({"reason": ""}, "reason"),
        ({"account_id": "a\nb"}, "account_id"),
        ({"name": "Ada"}, "name"),
    ],
)
async def test_a_wrong_proposal_is_refused_by_its_field(http, account, fields, field):
    reply = await proposed(http, account, **fields)
    assert (reply.status_code, f"Invalid field: {field}" in reply.text) == (400, True), reply.text


async def test_who_may_only_read_proposes_and_ends_nothing(http, account):
    assert (await proposed(http, account, by=READER)).status_code == 403
    path = f"/admin/exceptions/{uuid4()}/end"
    assert (await http.post(path, headers=READER)).status_code == 403
    assert (await http.get("/admin/exceptions", headers=MACHINE)).status_code == 401


INSERT = """insert into screening_exception (id, account_id, list_name, entry_id, reason, last_day,
                                             proposed_by, approved_by, approved_at)
            values (gen_random_uuid(), %(account)s, 'DEMO', '1002', 'why',
                    current_date + %(days)s, 'x', 'y', now() - %(ago)s * interval '1 day')"""


def insert(dsn, account, days=1, ago=0):
    with psycopg.connect(dsn) as connection:
        connection.execute(INSERT, {"account": account, "days": days, "ago": ago})


async def test_the_database_refuses_an_exception_by_one_person(http, database, account):
    with pytest.raises(psycopg.Error, match="approval of a second person"):
        insert(database.dsn, account)


@pytest.mark.parametrize(
    "statement",
    [
        "update screening_exception set last_day = '2999-01-01'",
        "delete from screening_exception",
    ],
)
async def test_nobody_prolongs_or_removes_an_exception(http, database, statement):
    refused = pytest.raises(psycopg.Error, match="permission denied")
    with psycopg.connect(database.dsn) as connection, refused:
        connection.execute(statement)


@pytest.mark.parametrize("days", [400, -2])
async def test_not_even_the_owner_excepts_somebody_for_ever(http, database, account, days):
    with pytest.raises(psycopg.Error, match="ends_within_a_year"):
        insert(database.owner_dsn, account, days)


async def test_an_exception_is_over_after_its_last_day(http, database, account):
    insert(database.owner_dsn, account, days=-2, ago=3)
    assert (await screened(http, account))["hit"]


def test_an_excepted_name_still_hits_the_next_entry():
    # Both entries have the name; the best one is excepted.
    entries = tuple(
        Entry("LIST", number, "Person", (name,))
        for number, name in (("1", "Tariq Qureshani"), ("2", "Tarik Qureshani"))
    )
    current = Current(Screener([SanctionsList("LIST", "7", entries)]), 10)
    party = Party("tariq qureshani")
    found = current.screen(party, by_account=True, excepted=frozenset({"LIST:1"}))
    assert (found.entry.id, [one.id for one in found.excepted]) == ("2", ["1"])
    both = current.screen(party, by_account=True, excepted=frozenset({"LIST:1", "LIST:2"}))
    assert (both.entry, [one.id for one in both.excepted]) == (None, ["1", "2"])
    assert current.screen(party, by_account=True).entry.id == "1"


@pytest.mark.parametrize(
    ("days", "fault"), [(0, False), (LONGEST.days, False), (-1, True), (LONGEST.days + 1, True)]
)
def test_an_exception_lasts_a_year_at_most(days, fault):
    monday = date(2026, 11, 30)
    assert bool(fault_of(monday + timedelta(days=days), monday)) is fault
