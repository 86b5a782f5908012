"""The gate passes a clean run and finds planted faults."""

from dataclasses import replace
from typing import Any

import pytest

from bench.gate import Evidence, faults_of
from bench.ledger_snapshot import StoredPayment
from bench.operations import Operation, Outcome

NAMES = ("run-0", "run-1", "run-2")
SETTLED = StoredPayment("CONFIRMED", "SETTLED", 3, 1, 1, 0.2)
PER_PAYMENT = (
    "payment.confirm-requested.v1", "payment.confirm-answered.v1", "risk.assessment-requested.v1",
    "risk.assessed.v1", "payment.confirmed.v1", "settlement-queue", "settlement.updated.v1",
)  # fmt: skip


def operation(name: str, status: int = 200, body: bytes = b"yes", step: str = "order") -> Operation:
    outcome = Outcome.OK if status == 200 else Outcome.UNKNOWN
    return Operation(name, 0.0, 0.1, outcome, status, body, step)


def clean() -> Evidence:
    return Evidence(
        log=[operation(name) for name in NAMES],
        stored=dict.fromkeys(NAMES, SETTLED),
        records=dict.fromkeys(PER_PAYMENT, len(NAMES)),
        rest_s=9.9,
        balance_minor=0,
        in_flight_minor=0,
    )


def stored(**changed: Any) -> dict[str, Any]:
    return {"stored": {**clean().stored, "run-1": replace(SETTLED, **changed)}}


def test_a_clean_run_counts():
    assert faults_of(clean()) == []


@pytest.mark.parametrize(
    ("planted", "what"),
    [
        pytest.param(
            {"stored": {name: SETTLED for name in NAMES if name != "run-1"}},
            "acknowledged but not stored", id="a loss",
        ),
        pytest.param(stored(settles=2), "settled other than once", id="settled twice"),
        pytest.param(stored(holds=2), "settled other than once", id="held twice"),
        pytest.param(stored(settles=0), "settled other than once", id="settled in name alone"),
        pytest.param(
            {"stored": {**clean().stored, "run-9": SETTLED}}, "without a request", id="invented"
        ),
        pytest.param(stored(settlement_status="SENT", settles=0), "not final", id="on its way"),
        pytest.param(stored(status="AWAITING_RISK", settlement_status="NONE", holds=0, settles=0),
            "not final", id="never scored"),
        pytest.param(stored(status="DECLINED", settlement_status="NONE", holds=0, settles=0),
            "with a SUCCESS response, but declined", id="a false success"),
        pytest.param(
            {"log": [*clean().log, operation("run-1", body=b"no")]},
            "with two different responses", id="another answer to the repeat",
        ),
        pytest.param({"rest_s": 10.1}, "lag was gone 10.1 s after", id="a lag"),
        pytest.param({"balance_minor": 1}, "sum to 1", id="money from nowhere"),
        pytest.param({"in_flight_minor": 5000}, "in flight is 5000", id="money left in flight"),
        pytest.param({"log": []}, "no operation of 0 succeeded", id="nothing done"),
        pytest.param(
            {"log": [operation(name, 500) for name in NAMES]}, "of 3 succeeded", id="all failed"
        ),
    ],
)  # fmt: skip
def test_each_planted_fault_is_found(planted: dict[str, Any], what: str):
    faults = faults_of(replace(clean(), **planted))
    assert any(what in fault.what for fault in faults)
    assert all(fault.next_step for fault in faults)
    assert [fault.is_slowness for fault in faults] == ["rest_s" in planted] * len(faults)


@pytest.mark.parametrize("topic", PER_PAYMENT)
@pytest.mark.parametrize("further", [-1, 1], ids=["one missing", "one doubled"])
def test_a_topic_out_of_ratio_is_found(topic: str, further: int):
    records = {**clean().records, topic: len(NAMES) + further}
    if topic == "settlement.updated.v1" and further == 1:
        # Three steps were told of each: on its way, perhaps unknown, settled.
        records[topic] = 3 * len(NAMES) + 1
    found = faults_of(replace(clean(), records=records))
    assert [topic in fault.what for fault in found] == [True]


def test_a_payment_without_a_response_may_stay_at_its_code():
    waiting = replace(SETTLED, status="AWAITING_CODE", settlement_status="NONE", holds=0, settles=0)
    evidence = replace(
        clean(),
        log=[*clean().log[:2], operation("run-2", 0, b"")],
        stored={"run-0": SETTLED, "run-1": SETTLED, "run-2": waiting},
        records={
            **clean().records,
            "payment.confirmed.v1": 2, "settlement-queue": 2, "settlement.updated.v1": 2,
        },
    )  # fmt: skip
    assert faults_of(evidence) == []
    typed = replace(evidence, log=[*evidence.log, operation("run-2", 0, b"", "code")])
    assert any("not final" in fault.what for fault in faults_of(typed))
