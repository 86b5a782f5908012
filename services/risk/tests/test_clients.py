"""Look-ups: what is believed, what is no answer, and that nothing stops its neighbours."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid5

import pytest

from risk import clients
from risk.clients import Kyc, LookUps, Match, MemoryIdentities, MemorySanctionsList, Ofac
from service_runtime.http_client import HttpClient
from service_runtime.messages import Batch, Cause, Due


@pytest.fixture
async def ofac(outside):
    async with HttpClient("ofac-test", outside.url, 0.5) as client:
        yield Ofac(client)


@pytest.fixture
async def kyc(outside):
    async with HttpClient("kyc-test", outside.url, 0.5) as client:
        yield Kyc(client)


def screened(body, **fields):
    results = [
        {"id": one["id"], "hit": False, "match_score": 3} | fields for one in body["parties"]
    ]
    return {"list_version": "v7", "results": results}


async def test_accounts_are_screened_a_hundred_at_a_time(ofac, outside):
    outside.answer = screened
    accounts = {f"acc-{number}" for number in range(250)}
    found = await ofac.screen(accounts)
    assert found == dict.fromkeys(accounts, Match(False, 3, "v7"))
    assert sorted(len(body["parties"]) for body in outside.asked) == [50, 100, 100]
    assert outside.asked[0]["parties"][0].keys() == {"id", "account_id"}


async def test_customers_are_asked_about_a_hundred_at_a_time(kyc, outside):
    outside.answer = lambda body: {
        "results": [{"user_id": user, "status": "pending"} for user in body["user_ids"]]
    }
    users = {f"usr-{number}" for number in range(101)}
    assert await kyc.statuses(users) == dict.fromkeys(users, "pending")
    assert sorted(len(body["user_ids"]) for body in outside.asked) == [1, 100]


@pytest.mark.parametrize(
    "result",
    [
        pytest.param({"hit": False, "match_score": 0}, id="no id"),
        pytest.param({"id": 7, "hit": False, "match_score": 0}, id="an id of a wrong type"),
        pytest.param({"id": "bad", "match_score": 0}, id="no hit"),
        pytest.param({"id": "bad", "hit": "no", "match_score": 0}, id="a hit of a wrong type"),
        pytest.param({"id": "bad", "hit": None, "match_score": 0}, id="a hit that is null"),
        pytest.param({"id": "bad", "hit": False}, id="no match score"),
        pytest.param({"id": "bad", "hit": False, "match_score": 101}, id="a score over 100"),
        pytest.param({"id": "bad", "hit": False, "match_score": "0"}, id="a score of a wrong type"),
        pytest.param({"id": "never-asked", "hit": False, "match_score": 0}, id="another's id"),
        pytest.param("clear", id="no object"),
    ],
)
async def test_a_bad_screening_is_no_answer_for_its_account_alone(ofac, outside, result):
    good = {"id": "good", "hit": True, "match_score": 100}
    outside.answer = lambda body: {"list_version": "v7", "results": [result, good]}
    assert await ofac.screen({"bad", "good"}) == {"good": Match(True, 100, "v7")}


async def test_two_answers_for_one_account_are_none(ofac, outside):
    hit, clear = ({"id": "acc", "hit": hit, "match_score": 0} for hit in (True, False))
    outside.answer = lambda body: {"list_version": "v7", "results": [hit, clear]}
    assert await ofac.screen({"acc"}) == {}


@pytest.mark.parametrize(
    "answer",
    [
        [],
        None,
        {"results": []},
        {"list_version": "", "results": []},
        {"list_version": 7, "results": []},
        {"list_version": "v7"},
        {"list_version": "v7", "results": {}},
    ],
)
async def test_an_answer_without_its_frame_is_no_answer(ofac, outside, answer):
    outside.answer = lambda body: answer
    assert await ofac.screen({"acc"}) == {}


@pytest.mark.parametrize("result", [{"user_id": "bad", "status": "fine"}, {"user_id": "bad"}, 1])
async def test_a_bad_status_is_no_answer_for_its_customer_alone(kyc, outside, result):
    good = {"user_id": "good", "status": "expired"}
    outside.answer = lambda body: {"results": [result, good]}
    assert await kyc.statuses({"bad", "good"}) == {"good": "expired"}


async def test_a_chunk_that_fails_takes_no_other_down(ofac, outside):
    outside.answer = screened
    outside.status = lambda body: 503 if len(body["parties"]) == 100 else 200
    found = await ofac.screen({f"acc-{number:03}" for number in range(120)})
    assert sorted(found) == [f"acc-{number}" for number in range(100, 120)]


async def test_one_account_that_is_refused_takes_no_other_down(ofac, outside):
    outside.answer = screened
    outside.status = lambda body: 422 if {"id": "x", "account_id": "x"} in body["parties"] else 200
    accounts = {f"acc-{number}" for number in range(99)}
    assert (await ofac.screen(accounts | {"x"})).keys() == accounts
    assert len(outside.asked) <= 16


@pytest.mark.parametrize("status", [401, 403, 404, 429])
async def test_a_refusal_of_the_caller_is_not_asked_again_in_halves(ofac, outside, status):
    outside.status = lambda body: status
    assert await ofac.screen({f"acc-{number}" for number in range(100)}) == {}
    assert len(outside.asked) == 1


async def test_a_slow_answer_is_no_answer(ofac, outside):
    outside.slow_s = 5.0
    started = asyncio.get_running_loop().time()
    assert await ofac.screen({"acc"}) == {}
    assert asyncio.get_running_loop().time() - started < 2


async def test_a_chunk_with_all_its_halves_has_one_deadline(ofac, outside, monkeypatch):
    monkeypatch.setattr(clients, "CHUNK_WITHIN_S", 0.2)
    outside.slow_s, outside.status = 0.15, lambda body: 422
    started = asyncio.get_running_loop().time()
    assert await ofac.screen({f"acc-{number}" for number in range(100)}) == {}
    assert asyncio.get_running_loop().time() - started < 0.4


async def test_a_service_that_is_gone_is_no_answer():
    async with HttpClient("gone-test", "http://127.0.0.1:9", 0.5) as client:
        assert await Ofac(client).screen({"acc"}) == {}
        assert await Kyc(client).statuses({"usr"}) == {}


def batch_of(build, *events, now=None):
    return Batch([build.received(event) for event in events], now or build.now)


async def test_both_parties_and_the_customer_are_looked_up_once_each(build):
    sanctions, identities = MemorySanctionsList({"payee-1"}), MemoryIdentities({"usr-1": "pending"})
    batch = batch_of(build, build.requested("tx-1"), build.requested("tx-2"))
    found = await LookUps(sanctions, identities).for_requests(batch)
    assert [sorted(accounts) for accounts in sanctions.asked] == [["acc-1", "payee-1"]]
    assert [sorted(users) for users in identities.asked] == [["usr-1"]]
    assert found.keys() == {item.cause.id for item in batch}
    evidence = found[batch.items[0].cause.id]
    assert [(one.party, one.hit) for one in evidence.screenings] == [
        ("debtor", False),
        ("creditor", True),
    ]
    assert evidence.kyc == "pending"


@pytest.mark.parametrize("silent", ["acc-1", "payee-1", "usr-1"])
async def test_a_record_without_all_three_answers_has_none(build, silent):
    look_ups = LookUps(MemorySanctionsList(silent={silent}), MemoryIdentities(silent={silent}))
    other = build.requested("tx-2", user_id="usr-2", from_account="acc-2", to_account="payee-2")
    batch = batch_of(build, build.requested(), other)
    assert (await look_ups.for_requests(batch)).keys() == {batch.items[1].cause.id}


async def test_nobody_is_asked_about_what_nobody_waits_for(build):
    sanctions = MemorySanctionsList()
    look_ups = LookUps(sanctions, MemoryIdentities())
    late = build.now + timedelta(minutes=15)
    assert await look_ups.for_requests(batch_of(build, build.requested(), now=late)) == {}
    due = Due(build.question(), Cause(build.question().payment_id), 1, 1)
    assert await look_ups.for_due(Batch([due], late)) == {}
    assert not any(sanctions.asked)


async def test_what_waits_is_looked_up_by_its_row(build):
    due = Due(build.question(), Cause(uuid5(UUID(int=1), "due")), 1, 1)
    found = await LookUps(MemorySanctionsList(), MemoryIdentities()).for_due(
        Batch([due], build.now)
    )
    assert found.keys() == {due.cause.id}
