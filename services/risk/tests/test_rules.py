"""The rules of compliance as a look-up: batches, failures, and that nothing passes without them."""

import asyncio
from functools import partial

import pytest

from risk.clients import (
    Compliance,
    LookUps,
    MemoryIdentities,
    MemoryRules,
    MemorySanctionsList,
    calls,
)
from risk.clients import (
    rules as rules_client,
)
from risk.domain import FiredRule, Ruling
from risk.handlers import Assessor, on_assessment_requested
from risk.store import MemoryAssessments
from service_runtime.http_client import HttpClient
from service_runtime.messages import Batch
from testkit.memory import MemoryDatabase

BLOCKED = Ruling(("decline",), (FiredRule("SANCTIONS", "CRITICAL", False, True),))


@pytest.fixture
async def rules(remote):
    async with HttpClient("compliance-test", remote.url, 0.5) as client:
        yield Compliance(client)


@pytest.fixture
async def look_ups(rules):
    return LookUps(MemorySanctionsList(), MemoryIdentities(), rules)


def finding(**fields):
    given = {"ruleId": "SANCTIONS", "severity": "CRITICAL", "action": "BLOCK", "evaluated": True}
    return given | fields


def result(one, **fields):
    return {"payment_id": one["payment_id"], "demands": [], "findings": []} | fields


def respond(body, **fields):
    return {"results": [result(one, **fields) for one in body["payments"]]}


def requests(build, count):
    names = (f"tx-{number}" for number in range(count))
    return [build.requested(name, user_id=f"usr-{name}") for name in names]


def batch_of(build, *events):
    return Batch([build.received(event) for event in events], build.now)


async def test_payments_are_asked_about_a_hundred_at_a_time_with_their_screenings(
    build, look_ups, remote
):
    remote.response = respond
    found = await look_ups.for_requests(batch_of(build, *requests(build, 150)))
    assert len(found) == 150
    assert {one.ruling for one in found.values()} == {Ruling()}
    assert sorted(len(body["payments"]) for body in remote.requests) == [50, 100]
    asked = remote.requests[0]["payments"][0]
    assert (asked["debtor_hit"], asked["kyc"], asked["currency"]) == (False, "verified", "USD")


async def test_a_rule_that_fired_is_evidence(build, look_ups, remote):
    remote.response = partial(respond, demands=["decline"], findings=[finding()])
    batch = batch_of(build, build.requested())
    (found,) = (await look_ups.for_requests(batch)).values()
    assert found.ruling == BLOCKED


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"demands": None}, id="demands that are null"),
        pytest.param({"demands": ["nothing"]}, id="an unknown demand"),
        pytest.param({"findings": "none"}, id="findings of a wrong type"),
        pytest.param({"findings": [finding(severity="x")]}, id="an unknown severity"),
        pytest.param({"findings": [finding(evaluated="yes")]}, id="a flag of a wrong type"),
        pytest.param({"findings": [finding(ruleId="a b")]}, id="a bad name"),
        pytest.param({"payment_id": "another"}, id="another payment"),
    ],
)
async def test_an_invalid_result_is_none(build, look_ups, remote, fields):
    remote.response = partial(respond, **fields)
    assert await look_ups.for_requests(batch_of(build, build.requested())) == {}


async def test_two_results_for_one_payment_are_none(build, look_ups, remote):
    remote.response = lambda body: {"results": respond(body)["results"] * 2}
    assert await look_ups.for_requests(batch_of(build, build.requested())) == {}


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 429, 500, 503])
async def test_an_error_is_no_result(build, look_ups, remote, status):
    remote.response, remote.status = respond, lambda body: status
    assert await look_ups.for_requests(batch_of(build, build.requested())) == {}


async def test_a_slow_service_is_no_result_within_the_lease(build, look_ups, remote, monkeypatch):
    monkeypatch.setattr(rules_client, "RULES_DEADLINE_S", 0.1)
    remote.slow_s = 0.4
    started = asyncio.get_running_loop().time()
    assert await look_ups.for_requests(batch_of(build, build.requested())) == {}
    assert asyncio.get_running_loop().time() - started < 0.3
    # The worker's lease is 10 s.
    assert calls.CHUNK_DEADLINE_S + 1.5 < 10


async def test_a_service_that_is_away_is_no_result(build):
    async with HttpClient("compliance-gone", "http://127.0.0.1:9", 0.5) as client:
        look_ups = LookUps(MemorySanctionsList(), MemoryIdentities(), Compliance(client))
        assert await look_ups.for_requests(batch_of(build, build.requested())) == {}


async def test_the_rules_are_asked_last_and_only_about_screened_payments(build, remote, rules):
    remote.response = respond
    look_ups = LookUps(MemorySanctionsList(silent={"acc-1"}), MemoryIdentities(), rules)
    assert await look_ups.for_requests(batch_of(build, build.requested())) == {}
    assert remote.requests == []


async def handled(build, clock, rules):
    """Handle one request with these rules; return the event, if any, and the waiting rows."""
    look_ups = LookUps(MemorySanctionsList(), MemoryIdentities(), rules)
    database = MemoryDatabase(clock)
    batch = batch_of(build, build.requested())
    batch = Batch(batch.items, batch.now, await look_ups.for_requests(batch))
    assessor = Assessor(build.policy, lambda _attempts: 1.0)
    async with database.transaction() as tx:
        emitted = await on_assessment_requested(batch, MemoryAssessments(tx), assessor)
        return [one.event for one in emitted], list(tx.own["assessment"])


async def test_a_payment_without_a_ruling_waits_and_never_passes(build, clock):
    events, waiting = await handled(build, clock, MemoryRules(silent={"usr-1"}))
    assert (events, len(waiting)) == ([], 1)


async def test_a_ruling_is_in_the_assessment_with_its_factors(build, clock):
    ((event,), _) = await handled(build, clock, MemoryRules({"usr-1": BLOCKED}))
    assert event.rules == ("decline",)
    assert "rule_SANCTIONS" in {factor.name for factor in event.factors}
