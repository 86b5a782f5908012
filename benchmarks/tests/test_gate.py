"""The gate passes a clean run and finds planted faults."""

from dataclasses import replace
from typing import Any

import pytest

from bench.gate import Evidence, faults_of
from bench.operations import Operation, Outcome
from bench.outcomes import PaymentOutcome

NAMES = ("run-0", "run-1", "run-2")
SETTLED = PaymentOutcome(stored=1, scored=1, confirmed=1, requested=1, settled=1)


def operation(name: str, status: int = 200, body: bytes = b"yes", step: str = "order") -> Operation:
    outcome = Outcome.OK if status == 200 else Outcome.UNKNOWN
    return Operation(name, 0.0, 0.1, outcome, status, body, step)


def clean() -> Evidence:
    return Evidence(
        log=[operation(name) for name in NAMES],
        payments=dict.fromkeys(NAMES, SETTLED),
        rest_s=9.9,
        violations=(),
    )


def payment(**changed: Any) -> dict[str, Any]:
    return {"payments": {**clean().payments, "run-1": replace(SETTLED, **changed)}}


def test_a_clean_run_counts():
    assert faults_of(clean()) == []


@pytest.mark.parametrize(
    ("planted", "what"),
    [
        pytest.param(
            {"payments": {name: SETTLED for name in NAMES if name != "run-1"}},
            "acknowledged but not stored", id="a loss",
        ),
        pytest.param(payment(settled=2), "settled other than once", id="settled twice"),
        pytest.param(payment(confirmed=2), "confirmed, declined or", id="confirmed twice"),
        pytest.param(payment(stored=2), "stored, scored, con", id="stored twice"),
        pytest.param(payment(scored=2), "stored, scored, con", id="scored twice"),
        pytest.param(payment(requested=2), "settled other than", id="requested twice"),
        pytest.param(payment(requested=0), "settled other than", id="settled without a request"),
        pytest.param(payment(declined=1), "confirmed, declined or", id="confirmed and declined"),
        pytest.param(
            {"payments": {**clean().payments, "run-9": SETTLED}}, "without a request", id="invented"
        ),
        pytest.param(payment(settled=0), "not final", id="on its way"),
        pytest.param(payment(scored=0, confirmed=0, requested=0, settled=0),
            "not final", id="never scored"),
        pytest.param(payment(declined=1, confirmed=0, requested=0, settled=0),
            "with a SUCCESS response, but declined", id="a false success"),
        pytest.param(
            {"log": [*clean().log, operation("run-1", body=b"no")]},
            "with two different responses", id="another answer to the repeat",
        ),
        pytest.param({"rest_s": 10.1}, "lag was gone 10.1 s after", id="a lag"),
        pytest.param({"violations": ["confirm: I3 a balance differs"]}, "I3 a balance differs",
            id="a violated invariant"),
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


def test_a_payment_without_a_response_may_stay_at_its_code():
    waiting = replace(SETTLED, confirmed=0, requested=0, settled=0)
    evidence = replace(
        clean(),
        log=[*clean().log[:2], operation("run-2", 0, b"")],
        payments={"run-0": SETTLED, "run-1": SETTLED, "run-2": waiting},
    )  # fmt: skip
    assert faults_of(evidence) == []
    typed = replace(evidence, log=[*evidence.log, operation("run-2", 0, b"", "code")])
    assert any("not final" in fault.what for fault in faults_of(typed))
