"""The fraud models as a look-up: scores, failures, and that nothing passes because of one."""

import asyncio
from functools import partial

import pytest

from payment_schemas.events.risk import FraudScore
from risk.clients import Fraud, LookUps, MemoryIdentities, MemoryModels, MemorySanctionsList
from risk.clients import models as models_client
from risk.domain import History, Unavailable, assess
from risk.handlers import Assessor, on_assessment_requested
from risk.store import MemoryAssessments
from service_runtime.http_client import HttpClient
from service_runtime.messages import Batch
from testkit.memory import MemoryDatabase

LIKELY = FraudScore(model_version="gbm-1", probability_ppm=600_000, reasons=("amount",))


@pytest.fixture
async def models(remote):
    async with HttpClient("fraud-test", remote.url, 0.5) as client:
        yield Fraud(client)


@pytest.fixture
def look_ups(models, monkeypatch):
    # Of a busy machine; the deadline itself has a test of its own.
    monkeypatch.setattr(models_client, "MODEL_DEADLINE_S", 20)
    return LookUps(MemorySanctionsList(), MemoryIdentities(), models=models)


def result(one, **fields):
    given = {"model_version": "gbm-1", "probability_ppm": 600_000, "reasons": ["amount"]}
    return {"payment_id": one["payment_id"]} | given | fields


def respond(body, interface=1, **fields):
    results = [result(one, **fields) for one in body["payments"]]
    return {"interface": interface, "results": results}


def batch_of(build, *events):
    return Batch([build.received(event) for event in events], build.now)


async def found_by(look_ups, build, *events):
    evidence = await look_ups.for_requests(batch_of(build, *(events or [build.requested()])))
    return [one.fraud for one in evidence.values()]


async def test_a_score_is_evidence_and_asked_with_what_features_need(build, look_ups, remote):
    remote.response = respond
    assert await found_by(look_ups, build) == [LIKELY]
    (asked,) = remote.requests[0]["payments"]
    assert set(asked) == {
        "payment_id", "user_id", "to_account", "amount_minor", "currency", "device",
        "requested_at",
    }  # fmt: skip


async def test_a_waiting_request_is_asked_with_its_device(build, look_ups, remote):
    remote.response = respond
    request = build.request(device="device-1")
    await look_ups._scored({request.payment_id: request})
    assert remote.requests[0]["payments"][0]["device"] == "device-1"


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"probability_ppm": None}, id="not a number, which JSON writes as null"),
        pytest.param({"probability_ppm": 0.6}, id="a fraction"),
        pytest.param({"probability_ppm": -1}, id="below 0"),
        pytest.param({"probability_ppm": 1_000_001}, id="above 1"),
        pytest.param({"probability_ppm": "1"}, id="a text"),
        pytest.param({"model_version": ""}, id="no version"),
        pytest.param({"model_version": None}, id="a version that is null"),
        pytest.param({"reasons": "amount"}, id="reasons of a wrong type"),
        pytest.param({"payment_id": "another"}, id="another payment"),
        pytest.param({"interface": 2}, id="another version of the interface"),
        pytest.param({"interface": None}, id="no version of the interface"),
    ],
)
async def test_what_is_no_score_is_an_unavailable_model(build, look_ups, remote, fields):
    remote.response = partial(respond, **fields)
    assert await found_by(look_ups, build) == [Unavailable.MODEL]


async def test_two_scores_of_one_payment_are_none(build, look_ups, remote):
    remote.response = lambda body: respond(body) | {"results": respond(body)["results"] * 2}
    assert await found_by(look_ups, build) == [Unavailable.MODEL]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 429, 500, 503])
async def test_an_error_is_an_unavailable_model(build, look_ups, remote, status):
    remote.response, remote.status = respond, lambda body: status
    assert await found_by(look_ups, build) == [Unavailable.MODEL]


async def test_one_payment_without_a_score_leaves_the_others(build, look_ups, remote):
    remote.response = lambda body: respond({"payments": body["payments"][:2]})
    events = [build.requested(name, user_id=f"usr-{name}") for name in ("tx-1", "tx-2", "tx-3")]
    found = await found_by(look_ups, build, *events)
    assert sorted(found, key=str) == sorted([LIKELY, LIKELY, Unavailable.MODEL], key=str)


async def test_a_slow_model_costs_its_deadline_and_delays_nothing_else(build, models, remote):
    remote.response, remote.slow_s = respond, 20
    look_ups = LookUps(MemorySanctionsList(), MemoryIdentities(), models=models)
    async with asyncio.timeout(10):
        assert await found_by(look_ups, build) == [Unavailable.MODEL]
    assert models_client.MODEL_DEADLINE_S == 0.05


async def test_a_model_that_is_away_is_unavailable(build):
    async with HttpClient("fraud-gone", "http://127.0.0.1:9", 0.5) as client:
        look_ups = LookUps(MemorySanctionsList(), MemoryIdentities(), models=Fraud(client))
        assert await found_by(look_ups, build) == [Unavailable.MODEL]


async def test_without_an_address_no_model_is_asked(build):
    assert await found_by(LookUps(MemorySanctionsList(), MemoryIdentities()), build) == [None]


@pytest.mark.parametrize(
    ("ppm", "factors"),
    [
        (49_999, {}),
        (50_000, {"fraud_model": 10}),
        (199_999, {"fraud_model": 10}),
        (200_000, {"fraud_model": 30}),
        (500_000, {"fraud_model": 50}),
        (1_000_000, {"fraud_model": 50}),
    ],
)
def test_a_probability_has_the_points_of_the_highest_step_that_it_reaches(build, ppm, factors):
    score = FraudScore(model_version="gbm-1", probability_ppm=ppm)
    assert factors_of(build, score) == factors


@pytest.mark.parametrize(("dollars", "level"), [(1_000, "medium"), (45_000, "high")])
def test_a_new_customers_large_payment_requires_a_code_though_the_model_scores_it_low(
    build, dollars, level
):
    """The model knows few such payments; the bands of amounts and the new payee decide."""
    evidence = replace_fraud(
        build.evidence(), FraudScore(model_version="gbm-1", probability_ppm=20_000)
    )
    request = build.request(amount_minor=dollars * 100)
    result = assess(request, evidence, History(False, True, 0), build.policy)
    assert "fraud_model" not in {factor.name for factor in result.factors}
    assert result.level == level


def test_an_unavailable_model_has_points_and_no_score(build):
    assert factors_of(build, Unavailable.MODEL) == {"model_unavailable": 20}
    assert factors_of(build, None) == {}


def factors_of(build, fraud):
    evidence = replace_fraud(build.evidence(), fraud)
    result = assess(build.request(), evidence, build.ordinary, build.policy)
    assert result.score == sum(factor.points for factor in result.factors)
    return {factor.name: factor.points for factor in result.factors}


def replace_fraud(evidence, fraud):
    return type(evidence)(evidence.screenings, evidence.kyc, evidence.ruling, fraud)


async def handled(build, clock, models):
    look_ups = LookUps(MemorySanctionsList(), MemoryIdentities(), models=models)
    database = MemoryDatabase(clock)
    batch = batch_of(build, build.requested())
    batch = Batch(batch.items, batch.now, await look_ups.for_requests(batch))
    assessor = Assessor(build.policy, lambda _attempts: 1.0)
    async with database.transaction() as tx:
        emitted = await on_assessment_requested(batch, MemoryAssessments(tx), assessor)
        return [one.event for one in emitted]


async def test_the_event_says_which_model_scored_and_why(build, clock):
    (event,) = await handled(build, clock, MemoryModels({"usr-1": LIKELY}))
    assert event.fraud == LIKELY
    assert ("fraud_model", 50) in {(one.name, one.points) for one in event.factors}


async def test_the_event_of_an_unavailable_model_has_a_higher_score_never_a_lower(build, clock):
    (event,) = await handled(build, clock, MemoryModels(silent={"usr-1"}))
    (usual,) = await handled(build, clock, MemoryModels())
    assert (event.fraud, event.score) == (None, usual.score + 20)
    assert "model_unavailable" in {one.name for one in event.factors}
