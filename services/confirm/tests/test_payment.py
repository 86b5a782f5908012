"""Steps between states: deadlines, settlement, and payments that cannot be built."""

from dataclasses import replace
from datetime import timedelta

import pytest
from confirm_builders import (
    ENDS,
    POLICY,
    again,
    answer_in,
    declined,
    kinds,
    payment_in,
    settled,
    verified,
)

from confirm.domain.payment import FINAL, LEGAL, Payment, Status
from confirm.domain.requests import on_request
from confirm.domain.results import (
    after_deadline,
    after_settlement,
    after_verification,
)
from testkit.events import NOON, REQUEST

RUNNING = [Status.AWAITING_RISK, Status.CHALLENGING, Status.VERIFYING]
DONE = [Status.CONFIRMED, Status.DECLINED]
OPEN = [*RUNNING, Status.AWAITING_CODE]
ENDED = ENDS + timedelta(seconds=60)


@pytest.mark.parametrize(
    ("new", "transfer"),
    [
        ("SENT", None),
        ("UNKNOWN", None),
        ("RECONCILE", None),
        ("SETTLED", "SETTLE"),
        ("REJECTED", "RETURN"),
    ],
)
def test_a_settlement_result_sets_the_settlement_status_and_the_status_stays(new, transfer):
    payment = payment_in(Status.CONFIRMED)

    decision = after_settlement(payment, settled(payment, new), NOON)

    assert decision.state == replace(payment, settlement_status=new, settlement_version=2)
    assert (decision.transfer and decision.transfer.kind) == transfer
    assert decision.events == ()


@pytest.mark.parametrize("version", [1, 2])
def test_a_settlement_result_that_is_older_or_repeated_is_ignored(version):
    payment = payment_in(Status.CONFIRMED, settlement_status="SENT", settlement_version=2)

    assert after_settlement(payment, settled(payment, "SETTLED", version), NOON).state is payment


@pytest.mark.parametrize("was", ["SETTLED", "REJECTED"])
@pytest.mark.parametrize("new", ["SENT", "SETTLED", "REJECTED", "UNKNOWN", "RECONCILE"])
def test_settled_or_returned_money_is_not_moved_again(was, new):
    payment = payment_in(Status.CONFIRMED, settlement_status=was, settlement_version=2)

    decision = after_settlement(payment, settled(payment, new, 3), NOON)

    assert decision.state is payment
    assert decision.transfer is None


@pytest.mark.parametrize("status", [*OPEN, Status.DECLINED])
@pytest.mark.parametrize("new", ["SENT", "SETTLED", "REJECTED"])
def test_a_settlement_result_for_an_unconfirmed_payment_is_ignored(status, new):
    payment = payment_in(status)

    decision = after_settlement(payment, settled(payment, new), NOON)

    assert decision.state is payment
    assert decision.transfer is None


@pytest.mark.parametrize("status", OPEN)
@pytest.mark.parametrize("late_s", [0, 1])
def test_a_payment_past_its_deadline_is_declined(status, late_s):
    payment = payment_in(status, due_at=NOON)

    decision = after_deadline(payment, NOON + timedelta(seconds=late_s))

    assert answer_in(decision).body == declined("timed_out")
    assert answer_in(decision).request_id == REQUEST
    assert kinds(decision) == ["PaymentDeclined"]
    assert decision.state.status is Status.DECLINED


@pytest.mark.parametrize("status", OPEN)
def test_a_payment_before_its_deadline_does_not_change(status):
    payment = payment_in(status, due_at=NOON)

    assert after_deadline(payment, NOON - timedelta(microseconds=1)).state is payment


@pytest.mark.parametrize("status", DONE)
def test_a_final_state_has_no_deadline(status):
    payment = payment_in(status)

    assert after_deadline(payment, NOON + timedelta(days=365)).state is payment


def decided(payment, request, now=NOON, policy=POLICY):
    """The decision on a request, and its reply as status, body, headers."""
    decision = on_request(payment, request, policy, now)
    answer = answer_in(decision)
    return decision, answer and (answer.status, answer.body, answer.headers)


@pytest.mark.parametrize("start", list(Status))
@pytest.mark.parametrize("end", list(Status))
def test_only_legal_steps_can_be_built_and_each_counts_one_version(start, end):
    payment = payment_in(start)

    if (start, end) in LEGAL:
        assert payment.moved(end, NOON).version == payment.version + 1
    else:
        with pytest.raises(ValueError, match=f"no way from {start} to {end}"):
            payment.moved(end, NOON)


def test_no_step_leaves_a_final_state():
    assert not [step for step in LEGAL if step[0] in FINAL]


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(payment_in(Status.AWAITING_CODE, challenge_ends_at=None), id="no end"),
        pytest.param(payment_in(Status.AWAITING_CODE, challenged_at=None), id="no start"),
    ],
)
def test_a_payment_that_awaits_a_code_without_a_challenge_is_a_fault(broken: Payment):
    with pytest.raises(ValueError, match="must have a challenge"):
        on_request(broken, again(), POLICY, NOON)


@pytest.mark.parametrize(
    ("fields", "request_fields"),
    [
        pytest.param({"challenge_id": None}, {}, id="without a challenge"),
        pytest.param({}, {"sealed_code": None}, id="unsealed"),
    ],
)
def test_a_code_that_cannot_be_judged_is_a_fault(fields, request_fields):
    with pytest.raises(ValueError, match="a code must be sealed and belong to a challenge"):
        on_request(
            payment_in(Status.AWAITING_CODE, **fields), again("tag", **request_fields), POLICY, NOON
        )


@pytest.mark.parametrize("missing", ["answer_status", "answer_body"])
def test_a_final_payment_without_its_answer_is_a_fault(missing):
    payment = replace(payment_in(Status.CONFIRMED), **{missing: None})

    with pytest.raises(ValueError, match="must have a stored response"):
        on_request(payment, again(), POLICY, NOON)


def test_a_payment_without_a_score_cannot_be_confirmed():
    unscored = payment_in(Status.VERIFYING, risk_score=None)

    with pytest.raises(ValueError, match="risk_score"):
        after_verification(unscored, verified(unscored), POLICY, NOON, funds=True)


@pytest.mark.parametrize("read", [lambda p: p.public_status, lambda p: decided(p, again())])
def test_an_unknown_status_is_a_fault(read):
    unknown = replace(payment_in(Status.AWAITING_RISK), status="SOMEWHERE")

    with pytest.raises(AssertionError, match="SOMEWHERE"):
        read(unknown)
