import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mocks import faults as faults_module
from mocks.faults import KINDS, MAX_REMEMBERED_REQUESTS, Faults, HeldRequests
from mocks.kyc.app import create
from mocks.settings import KycSettings
from service_runtime.web import MAX_BODY_BYTES

SETTINGS = KycSettings(profile="dev", fault_slow_s=0.2, fault_hold_s=0.2)
OFF = dict.fromkeys(KINDS, 0.0)


@pytest.fixture
async def kyc(serve, clock):
    async with serve(create(SETTINGS, clock)) as client:
        yield client


async def switch(client, kind, rate=1.0):
    answer = await client.put("/faults", json={"kind": kind, "rate": rate})
    assert answer.status_code == 200
    return answer.json()["faults"]


async def status_of(client, user_id):
    await client.delete("/faults")
    return (await client.get(f"/customers/{user_id}")).json()["status"]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "Missing field: kind"),
        ({"kind": "flood"}, "Invalid field: kind"),
        ({"kind": "down", "rate": 1.1}, "Invalid field: rate"),
        ({"kind": "down", "rate": -0.1}, "Invalid field: rate"),
        ({"kind": "down", "rate": "0.1"}, "Invalid field: rate"),
        ({"kind": "down", "speed": 1}, "Unknown field: speed"),
        ([], "Malformed JSON"),
    ],
)
async def test_an_invalid_fault_is_refused_with_its_field(kyc, body, error):
    answer = await kyc.put("/faults", json=body)
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert (await kyc.get("/faults")).json() == {"faults": OFF}


async def test_each_kind_has_its_own_rate_and_delete_resets_all(kyc):
    await switch(kyc, "slow", 0.5)
    assert await switch(kyc, "error", 0.25) == {**OFF, "slow": 0.5, "error": 0.25}
    assert (await kyc.delete("/faults")).json() == {"faults": OFF}


@pytest.mark.parametrize(("kind", "status"), [("down", 503), ("error", 500)])
async def test_a_mock_that_is_down_or_in_error_does_no_work(kyc, kind, status):
    await switch(kyc, kind)
    answer = await kyc.put("/customers/usr-1", json={"status": "rejected"})
    assert answer.status_code == status
    assert await status_of(kyc, "usr-1") == "verified"


async def test_a_slow_mock_waits_and_then_works(kyc):
    await switch(kyc, "slow")
    begun = time.monotonic()
    answer = await kyc.put("/customers/usr-1", json={"status": "rejected"})
    assert time.monotonic() - begun >= 0.2
    assert answer.json() == {"user_id": "usr-1", "status": "rejected"}


@pytest.mark.parametrize(
    ("kind", "left"), [("lose_request", "verified"), ("lose_answer", "rejected")]
)
async def test_a_lost_request_does_no_work_and_a_lost_answer_does(kyc, kind, left):
    await switch(kyc, kind)
    begun = time.monotonic()
    answer = await kyc.put("/customers/usr-1", json={"status": "rejected"})
    assert (answer.status_code, time.monotonic() - begun >= 0.2) == (504, True)
    assert await status_of(kyc, "usr-1") == left


@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics", "/faults"])
async def test_the_exempt_paths_respond_under_every_fault(kyc, path):
    for kind in KINDS:
        await switch(kyc, kind)
    assert (await kyc.get(path)).status_code == 200


async def test_an_unaffected_request_reaches_the_mock_unchanged(kyc):
    await switch(kyc, "down", 1e-12)
    asked = {"user_ids": [f"usr-{n}" for n in range(100)]}
    answer = await kyc.post("/customers:batch", json=asked)
    assert len(answer.json()["results"]) == 100


@pytest.mark.parametrize("faulty", [False, True])
async def test_a_body_beyond_the_limit_is_refused(kyc, faulty):
    if faulty:
        await switch(kyc, "down", 1e-12)

    async def endless():
        for _ in range(MAX_BODY_BYTES // 65536 + 2):
            yield b" " * 65536

    for body in (b" " * (MAX_BODY_BYTES + 1), endless()):
        answer = await kyc.post("/customers:batch", content=body)
        assert (answer.status_code, answer.json()) == (413, {"error": "Body too large"})


@given(st.lists(st.binary(max_size=4), min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_faults_depend_on_the_request_and_not_on_the_order_of_arrival(contents, random):
    def run(order):
        faults = Faults()
        faults.switch("down", 0.5)
        faults.switch("slow", 0.3)
        return sorted((content, sorted(faults.faults_of(content))) for content in order)

    assert run(contents) == run(random.sample(contents, len(contents)))


def test_a_rate_holds_over_many_requests_and_a_repeat_gets_another_result():
    faults = Faults()
    faults.switch("error", 0.2)
    distinct = sum(bool(faults.faults_of(b"request %d" % n)) for n in range(5_000))
    repeated = sum(bool(faults.faults_of(b"the same")) for _ in range(5_000))
    assert 900 <= distinct <= 1_100
    assert 900 <= repeated <= 1_100


@pytest.mark.parametrize(("rate", "affected"), [(0.0, 0), (1.0, 1_000)])
def test_rate_0_never_affects_and_rate_1_always_affects_a_request(rate, affected):
    faults = Faults()
    faults.switch("down", rate)
    assert sum("down" in faults.faults_of(b"%d" % n) for n in range(1_000)) == affected


def test_the_memory_of_earlier_requests_is_bounded():
    faults = Faults()
    faults.switch("down", 0.5)
    for n in range(MAX_REMEMBERED_REQUESTS + 500):
        faults.faults_of(b"%d" % n)
    assert len(faults._requests) == MAX_REMEMBERED_REQUESTS


async def never():
    await asyncio.Event().wait()


async def test_a_held_request_ends_when_the_client_disconnects():
    async def hangs_up():
        return {"type": "http.disconnect"}

    await asyncio.wait_for(HeldRequests(60).hold(hangs_up), timeout=1)


async def test_held_requests_end_when_the_process_stops():
    held_requests, stopping = HeldRequests(60), asyncio.Event()
    held = asyncio.gather(
        *(held_requests.hold(never) for _ in range(3)), held_requests.until(stopping)
    )
    await asyncio.sleep(0)
    stopping.set()
    await asyncio.wait_for(held, timeout=1)


async def test_the_number_of_held_requests_is_bounded(monkeypatch):
    monkeypatch.setattr(faults_module, "MAX_HELD", 2)
    held_requests, stopping = HeldRequests(60), asyncio.Event()
    held = [asyncio.ensure_future(held_requests.hold(never)) for _ in range(2)]
    await asyncio.sleep(0)
    await asyncio.wait_for(held_requests.hold(never), timeout=1)
    assert not any(one.done() for one in held)
    stopping.set()
    await asyncio.gather(*held, held_requests.until(stopping))
