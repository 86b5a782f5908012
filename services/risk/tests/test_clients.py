"""Look-ups: valid results, failures, and that a failure affects no other record."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid5

import pytest

from payment_schemas.sealed import Sealed
from risk.clients import (
    Kyc,
    LookUps,
    Match,
    MemoryIdentities,
    MemoryPayers,
    MemorySanctionsList,
    NamedParty,
    Ofac,
    Payers,
    calls,
    look_ups,
)
from service_runtime.http_client import HttpClient
from service_runtime.messages import Batch, Cause, Due


@pytest.fixture
async def ofac(remote):
    async with HttpClient("ofac-test", remote.url, 0.5) as client:
        yield Ofac(client)


@pytest.fixture
async def kyc(remote):
    async with HttpClient("kyc-test", remote.url, 0.5) as client:
        yield Kyc(client)


@pytest.fixture
async def payers(remote):
    async with HttpClient("payers-test", remote.url, 0.5) as client:
        yield Payers(client)


def screened(body, **fields):
    results = [
        {"id": one["id"], "hit": False, "match_score": 3} | fields for one in body["parties"]
    ]
    return {"list_version": "v7", "results": results}


async def test_accounts_are_screened_a_hundred_at_a_time(ofac, remote):
    remote.response = screened
    accounts = {f"acc-{number}" for number in range(250)}
    found = await ofac.screen(accounts)
    assert found == dict.fromkeys(accounts, Match(False, 3, "v7"))
    assert sorted(len(body["parties"]) for body in remote.requests) == [50, 100, 100]
    assert remote.requests[0]["parties"][0].keys() == {"id", "account_id"}


async def test_customers_are_queried_a_hundred_at_a_time(kyc, remote):
    remote.response = lambda body: {
        "results": [{"user_id": user, "status": "pending"} for user in body["user_ids"]]
    }
    users = {f"usr-{number}" for number in range(101)}
    assert await kyc.statuses(users) == dict.fromkeys(users, "pending")
    assert sorted(len(body["user_ids"]) for body in remote.requests) == [1, 100]


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
        pytest.param({"id": "never-asked", "hit": False, "match_score": 0}, id="an unknown id"),
        pytest.param("clear", id="not an object"),
    ],
)
async def test_an_invalid_screening_fails_its_account_only(ofac, remote, result):
    good = {"id": "good", "hit": True, "match_score": 100}
    remote.response = lambda body: {"list_version": "v7", "results": [result, good]}
    assert await ofac.screen({"bad", "good"}) == {"good": Match(True, 100, "v7")}


async def test_two_results_for_one_account_are_dropped(ofac, remote):
    hit, clear = ({"id": "acc", "hit": hit, "match_score": 0} for hit in (True, False))
    remote.response = lambda body: {"list_version": "v7", "results": [hit, clear]}
    assert await ofac.screen({"acc"}) == {}


@pytest.mark.parametrize(
    "response",
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
async def test_an_invalid_response_has_no_results(ofac, remote, response):
    remote.response = lambda body: response
    assert await ofac.screen({"acc"}) == {}


@pytest.mark.parametrize("result", [{"user_id": "bad", "status": "fine"}, {"user_id": "bad"}, 1])
async def test_an_invalid_status_fails_its_customer_only(kyc, remote, result):
    good = {"user_id": "good", "status": "expired"}
    remote.response = lambda body: {"results": [result, good]}
    assert await kyc.statuses({"bad", "good"}) == {"good": "expired"}


async def test_a_failed_chunk_affects_no_other_chunk(ofac, remote):
    remote.response = screened
    remote.status = lambda body: 503 if len(body["parties"]) == 100 else 200
    found = await ofac.screen({f"acc-{number:03}" for number in range(120)})
    assert sorted(found) == [f"acc-{number}" for number in range(100, 120)]


async def test_one_refused_account_affects_no_other_account(ofac, remote):
    remote.response = screened
    remote.status = lambda body: 422 if {"id": "x", "account_id": "x"} in body["parties"] else 200
    accounts = {f"acc-{number}" for number in range(99)}
    assert (await ofac.screen(accounts | {"x"})).keys() == accounts
    assert len(remote.requests) <= 16


@pytest.mark.parametrize("status", [401, 403, 404, 429])
async def test_a_chunk_is_not_halved_when_the_caller_is_refused(ofac, remote, status):
    remote.status = lambda body: status
    assert await ofac.screen({f"acc-{number}" for number in range(100)}) == {}
    assert len(remote.requests) == 1


async def test_a_slow_response_times_out(ofac, remote):
    remote.slow_s = 5.0
    started = asyncio.get_running_loop().time()
    assert await ofac.screen({"acc"}) == {}
    assert asyncio.get_running_loop().time() - started < 2


async def test_a_chunk_with_all_its_halves_has_one_deadline(ofac, remote, monkeypatch):
    monkeypatch.setattr(calls, "CHUNK_DEADLINE_S", 0.2)
    remote.slow_s, remote.status = 0.15, lambda body: 422
    started = asyncio.get_running_loop().time()
    assert await ofac.screen({f"acc-{number}" for number in range(100)}) == {}
    assert asyncio.get_running_loop().time() - started < 0.4


async def test_an_unreachable_service_has_no_results():
    async with HttpClient("gone-test", "http://127.0.0.1:9", 0.5) as client:
        assert await Ofac(client).screen({"acc"}) == {}
        assert await Kyc(client).statuses({"usr"}) == {}


def payee(number=1):
    return NamedParty(f"payee-{number}", Sealed(f"k.{number}"), UUID(int=number))


def screened_with_names(body, **fields):
    by = {"screened_by": ["account", "name"]}
    return screened(body, **by, **fields)


async def test_a_name_is_sent_sealed_with_its_account_and_payment(ofac, remote):
    entry = {"list": "DEMO", "version": "7", "id": "1001", "name": "X", "programmes": []}
    remote.response = lambda body: screened_with_names(body, hit=True, entry=entry)
    one = payee()
    assert await ofac.screen_names([one]) == {
        one.id: Match(True, 3, "7", ("account", "name"), "DEMO", "1001")
    }
    assert remote.requests == [
        {
            "parties": [
                {
                    "id": one.id,
                    "account_id": "payee-1",
                    "sealed_name": "k.1",
                    "payment_id": str(UUID(int=1)),
                }
            ]
        }
    ]


async def test_an_excepted_entry_is_part_of_the_result(ofac, remote):
    aside = [{"list": "DEMO", "id": "1002"}, {"list": "EU", "id": "EU.1"}]
    remote.response = lambda body: screened_with_names(body, excepted=aside)
    found = (await ofac.screen_names([payee()]))[payee().id]
    assert (found.hit, found.excepted) == (False, ("DEMO:1002", "EU:EU.1"))


async def test_a_result_without_the_name_is_no_result_of_a_named_payee(ofac, remote):
    remote.response = screened
    assert await ofac.screen_names([payee()]) == {}
    remote.response = lambda body: screened(body, hit=True)
    assert (await ofac.screen_names([payee()]))[payee().id].hit


async def test_a_name_that_cannot_be_opened_affects_no_other_payee(ofac, remote):
    remote.response = screened_with_names
    remote.status = lambda body: (
        400 if any(p["sealed_name"] == "k.7" for p in body["parties"]) else 200
    )
    found = await ofac.screen_names([payee(number) for number in range(20)])
    assert found.keys() == {payee(number).id for number in range(20) if number != 7}


def batch_of(build, *events, now=None):
    return Batch([build.received(event) for event in events], now or build.now)


async def test_both_parties_and_the_customer_are_looked_up_once_each(build):
    sanctions, identities = MemorySanctionsList({"payee-1"}), MemoryIdentities({"usr-1": "pending"})
    batch = batch_of(build, build.requested("tx-1"), build.requested("tx-2"))
    found = await LookUps(sanctions, identities).for_requests(batch)
    assert [sorted(accounts) for accounts in sanctions.queries] == [["acc-1", "payee-1"]]
    assert [sorted(users) for users in identities.queries] == [["usr-1"]]
    assert found.keys() == {item.cause.id for item in batch}
    evidence = found[batch.items[0].cause.id]
    assert [(one.party, one.hit) for one in evidence.screenings] == [
        ("debtor", False),
        ("creditor", True),
    ]
    assert evidence.kyc == "pending"


@pytest.mark.parametrize("silent", ["acc-1", "payee-1", "usr-1"])
async def test_a_request_without_all_three_results_has_no_evidence(build, silent):
    look_ups = LookUps(MemorySanctionsList(silent={silent}), MemoryIdentities(silent={silent}))
    other = build.requested("tx-2", user_id="usr-2", from_account="acc-2", to_account="payee-2")
    batch = batch_of(build, build.requested(), other)
    assert (await look_ups.for_requests(batch)).keys() == {batch.items[1].cause.id}


def named(build, name="k.1", **fields):
    return build.requested(sealed_to_name=Sealed(name), **fields)


async def test_a_known_name_is_screened_with_its_account_and_the_debtor_by_account(build):
    sanctions = MemorySanctionsList(listed_names={"k.1"})
    look_ups = LookUps(sanctions, MemoryIdentities(), takes_names=True)
    batch = batch_of(build, named(build))
    (evidence,) = (await look_ups.for_requests(batch)).values()
    debtor, creditor = evidence.screenings
    assert (debtor.hit, debtor.by, debtor.entry) == (False, ("account",), None)
    assert (creditor.hit, creditor.by) == (True, ("account", "name"))
    assert (creditor.list_name, creditor.entry) == ("MEMORY", "1")
    assert [sorted(accounts) for accounts in sanctions.queries] == [["acc-1"]]


async def test_two_payees_of_one_account_are_screened_by_their_own_names(build):
    look_ups = LookUps(
        MemorySanctionsList(listed_names={"k.1"}), MemoryIdentities(), takes_names=True
    )
    batch = batch_of(
        build,
        named(build),
        named(build, "k.2", transaction_id="tx-2"),
        build.requested("tx-3"),
    )
    found = await look_ups.for_requests(batch)
    creditors = [found[item.cause.id].screenings[1] for item in batch]
    assert [(one.hit, one.by) for one in creditors] == [
        (True, ("account", "name")),
        (False, ("account", "name")),
        (False, ("account",)),
    ]


async def test_without_a_reply_to_its_name_a_request_has_no_evidence(build):
    sanctions = MemorySanctionsList(silent={"payee-1"})
    look_ups = LookUps(sanctions, MemoryIdentities(), takes_names=True)
    other = named(build, transaction_id="tx-2", to_account="payee-2")
    batch = batch_of(build, named(build), other)
    assert (await look_ups.for_requests(batch)).keys() == {batch.items[1].cause.id}


async def test_a_provider_outside_is_sent_no_name(build):
    sanctions = MemorySanctionsList(listed_names={"k.1"})
    batch = batch_of(build, named(build))
    (evidence,) = (await LookUps(sanctions, MemoryIdentities()).for_requests(batch)).values()
    assert evidence.screenings[1].by == ("account",)
    assert [sorted(accounts) for accounts in sanctions.queries] == [["acc-1", "payee-1"]]


def by_payers_name(sanctions=None, **payers):
    return LookUps(
        sanctions or MemorySanctionsList(listed_names={"k.1"}),
        MemoryIdentities(),
        payers=MemoryPayers(**payers),
        takes_names=True,
    )


async def test_a_payer_is_screened_by_the_name_that_compliance_knows(build):
    batch = batch_of(build, named(build, "k.2"), build.requested("tx-2", user_id="usr-2"))
    known = {"usr-1": Sealed("k.1")}
    found = await by_payers_name(known=known).for_requests(batch)
    first, second = (found[item.cause.id].screenings for item in batch)
    assert [(one.party, one.hit, one.by) for one in first] == [
        ("debtor", True, ("account", "name")),
        ("creditor", False, ("account", "name")),
    ]
    assert (first[0].list_name, first[0].entry) == ("MEMORY", "1")
    # Of the other payer no name is known: the result says that the account alone was screened.
    assert (second[0].hit, second[0].by) == (False, ("account",))


async def test_a_payer_without_an_answer_to_the_name_has_no_evidence(build):
    batch = batch_of(build, build.requested(), build.requested("tx-2", user_id="usr-2"))
    silent = by_payers_name(silent={"usr-1"})
    assert (await silent.for_requests(batch)).keys() == {batch.items[1].cause.id}
    # The name is known, and screening says nothing of it.
    unscreened = by_payers_name(
        MemorySanctionsList(silent={"acc-1"}), known={"usr-1": Sealed("k.1")}
    )
    assert await unscreened.for_requests(batch_of(build, build.requested())) == {}


async def test_slow_names_are_no_evidence_within_the_lease(build, monkeypatch):
    class Slow(MemoryPayers):
        async def names(self, payers):
            await asyncio.sleep(5)
            return await super().names(payers)

    monkeypatch.setattr(look_ups, "PAYERS_DEADLINE_S", 0.05)
    slow = LookUps(MemorySanctionsList(), MemoryIdentities(), payers=Slow(), takes_names=True)
    assert await slow.for_requests(batch_of(build, build.requested())) == {}


async def test_a_screening_provider_outside_gets_no_payers_name(build):
    sanctions = MemorySanctionsList(listed_names={"k.1"})
    payers = MemoryPayers(known={"usr-1": Sealed("k.1")})
    asked = LookUps(sanctions, MemoryIdentities(), payers=payers)
    (evidence,) = (await asked.for_requests(batch_of(build, build.requested()))).values()
    assert evidence.screenings[0].by == ("account",)


async def test_names_are_asked_by_payment_and_null_says_that_none_is_known(payers, remote):
    answers = {"p-1": "k.1", "p-2": None}
    remote.response = lambda body: {
        "results": [
            {"payment_id": one["payment_id"], "sealed_name": answers[one["payment_id"]]}
            for one in body["payments"]
        ]
    }
    assert await payers.names({"p-1": "usr-1", "p-2": "usr-2"}) == {
        "p-1": Sealed("k.1"),
        "p-2": None,
    }
    assert remote.requests[0]["payments"][0] == {"payment_id": "p-1", "user_id": "usr-1"}


@pytest.mark.parametrize(
    "result",
    [
        pytest.param({"payment_id": "p-1"}, id="without a name or null"),
        pytest.param({"payment_id": "p-1", "sealed_name": 7}, id="a name of a wrong type"),
        pytest.param({"payment_id": "p-2", "sealed_name": None}, id="another payment"),
        pytest.param({"sealed_name": None}, id="without a payment"),
        pytest.param("none", id="no object"),
    ],
)
async def test_an_invalid_name_is_no_answer(payers, remote, result):
    remote.response = {"results": [result]}
    assert await payers.names({"p-1": "usr-1"}) == {}


async def test_two_answers_about_one_payer_are_none(payers, remote):
    twice = [{"payment_id": "p-1", "sealed_name": None}, {"payment_id": "p-1", "sealed_name": "k"}]
    remote.response = {"results": twice}
    assert await payers.names({"p-1": "usr-1"}) == {}


async def test_expired_requests_are_not_looked_up(build):
    sanctions = MemorySanctionsList()
    look_ups = LookUps(sanctions, MemoryIdentities())
    late = build.now + timedelta(minutes=15)
    assert await look_ups.for_requests(batch_of(build, build.requested(), now=late)) == {}
    due = Due(build.request(), Cause(build.request().payment_id), 1, 1)
    assert await look_ups.for_due(Batch([due], late)) == {}
    assert not any(sanctions.queries)


async def test_a_waiting_request_is_looked_up_by_its_row(build):
    due = Due(build.request(), Cause(uuid5(UUID(int=1), "due")), 1, 1)
    found = await LookUps(MemorySanctionsList(), MemoryIdentities()).for_due(
        Batch([due], build.now)
    )
    assert found.keys() == {due.cause.id}
