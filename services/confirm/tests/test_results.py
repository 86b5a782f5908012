"""The contract's table of states for results of risk and otp: one case for each cell."""

from datetime import timedelta

import pytest
from confirm_builders import (
    CODES_LOCKED,
    ENDS,
    INVALID_OTP,
    LATER_REQUEST,
    POLICY,
    SUCCESS,
    TOO_MANY,
    UNDELIVERABLE,
    answer_in,
    assessed,
    challenged,
    declined,
    kinds,
    otp_required,
    payment_in,
    refused,
    verified,
)

from confirm.domain.payment import Policy, Status
from confirm.domain.results import (
    after_challenge,
    after_new_hit,
    after_refusal,
    after_risk,
    after_verification,
)
from testkit.events import CHALLENGE, NOON, REQUEST

RUNNING = [Status.AWAITING_RISK, Status.CHALLENGING, Status.VERIFYING]
DONE = [Status.CONFIRMED, Status.DECLINED]
OPEN = [*RUNNING, Status.AWAITING_CODE]
ENDED = ENDS + timedelta(seconds=60)


def risk(payment, score=10, policy=POLICY, *, funds=True, **fields):
    return after_risk(payment, assessed(payment, score, **fields), policy, NOON, funds=funds)


@pytest.mark.parametrize("score", [0, 69])
def test_below_the_threshold_the_funds_are_held_and_the_payment_confirmed(score):
    payment = payment_in(Status.AWAITING_RISK)

    decision = risk(payment, score)

    state, answer = decision.state, answer_in(decision)
    assert state.status is Status.CONFIRMED
    assert (state.settlement_status, state.due_at) == ("PENDING", None)
    assert (state.risk_score, state.answer_status, state.answer_body) == (score, 200, SUCCESS)
    assert (answer.request_id, answer.status, answer.body) == (REQUEST, 200, SUCCESS)
    assert decision.transfer.kind == "HOLD"
    assert kinds(decision) == ["PaymentConfirmed", "SettlementRequested"]


@pytest.mark.parametrize("score", [70, 100])
def test_from_the_threshold_on_a_code_is_requested(score):
    decision = risk(payment_in(Status.AWAITING_RISK), score, amount_usd_minor=1)

    assert decision.state.status is Status.CHALLENGING
    assert decision.state.challenge_number == 1
    assert kinds(decision)[0] == "ChallengeRequested"
    assert answer_in(decision) is None
    assert decision.transfer is None


def test_a_rule_requests_a_code_below_the_threshold():
    decision = risk(payment_in(Status.AWAITING_RISK), 0, rules=("code",))

    assert decision.state.status is Status.CHALLENGING
    assert decision.review is None


def test_a_rule_opens_a_review_case_and_the_payment_continues():
    decision = risk(payment_in(Status.AWAITING_RISK), 0, rules=("review",))

    assert decision.state.status is Status.CONFIRMED
    assert decision.review.reasons == ("risk",)


@pytest.mark.parametrize(
    ("policy", "fields"),
    [
        pytest.param(POLICY, {"sanctions": "hit"}, id="sanctions"),
        pytest.param(POLICY, {"kyc": "rejected"}, id="kyc"),
        pytest.param(POLICY, {"rules": ("decline",)}, id="rules"),
        pytest.param(Policy(decline_at=10), {}, id="at the configured score"),
    ],
)
def test_a_payment_that_is_not_permitted_is_declined_without_details(policy, fields):
    decision = risk(payment_in(Status.AWAITING_RISK), policy=policy, **fields)

    assert decision.state.status is Status.DECLINED
    assert answer_in(decision).body == declined("not_permitted")
    assert decision.transfer is None
    assert kinds(decision) == ["PaymentDeclined"]


def test_a_score_below_the_configured_limit_declines_nothing():
    decision = risk(payment_in(Status.AWAITING_RISK), policy=Policy(decline_at=11))

    assert decision.state.status is Status.CONFIRMED


@pytest.mark.parametrize("kyc", ["pending", "expired"])
def test_a_pending_or_expired_kyc_check_does_not_decline(kyc):
    assert risk(payment_in(Status.AWAITING_RISK), kyc=kyc).state.status is Status.CONFIRMED


def test_a_scored_payment_without_funds_is_declined():
    decision = risk(payment_in(Status.AWAITING_RISK), funds=False)

    assert answer_in(decision).body == declined("insufficient_funds")
    assert decision.transfer is None


@pytest.mark.parametrize("status", [status for status in Status if status != "AWAITING_RISK"])
def test_a_late_risk_result_does_not_change_a_payment(status):
    payment = payment_in(status)

    decision = risk(payment, 0)

    assert decision.state is payment
    assert (decision.events, decision.transfer, decision.review) == ((), None, None)


@pytest.mark.parametrize(
    ("score", "usd_minor", "reasons"),
    [
        pytest.param(90, 1_000_000, None, id="at both limits"),
        pytest.param(91, 1_000_000, ("risk",), id="over the score"),
        pytest.param(90, 1_000_001, ("amount",), id="a cent over the amount"),
        pytest.param(91, 1_000_001, ("amount", "risk"), id="over both"),
    ],
)
def test_over_a_limit_a_review_case_is_opened_and_the_payment_continues(score, usd_minor, reasons):
    payment = payment_in(Status.AWAITING_RISK)

    decision = risk(payment, score, amount_usd_minor=usd_minor)

    assert decision.state.status is Status.CHALLENGING
    assert (decision.review and decision.review.reasons) == reasons
    opened = [event for event in decision.events if type(event).__name__ == "ReviewOpened"]
    assert [event.reasons for event in opened] == ([reasons] if reasons else [])


def test_an_issued_challenge_replies_that_a_code_is_required():
    payment = payment_in(Status.CHALLENGING)

    decision = after_challenge(payment, challenged(payment), POLICY, NOON)

    assert decision.state.status is Status.AWAITING_CODE
    assert decision.state.due_at == ENDS + POLICY.state_timeout
    assert decision.state.challenge_id == CHALLENGE
    answer = answer_in(decision)
    assert (answer.request_id, answer.status, answer.body) == (REQUEST, 403, otp_required(300))


def test_a_challenge_that_expired_on_its_way_has_0_seconds_left():
    payment = payment_in(Status.CHALLENGING)

    decision = after_challenge(payment, challenged(payment), POLICY, ENDED)

    assert answer_in(decision).body == otp_required(0)


def test_an_earlier_challenge_is_ignored():
    payment = payment_in(Status.CHALLENGING, challenge_number=2)

    late = challenged(payment, challenge_number=1)

    assert after_challenge(payment, late, POLICY, NOON).state is payment


@pytest.mark.parametrize("status", [status for status in Status if status != "CHALLENGING"])
def test_a_late_challenge_does_not_change_a_payment(status):
    payment = payment_in(status)

    decision = after_challenge(payment, challenged(payment), POLICY, NOON)

    assert decision.state is payment
    assert decision.events == ()


@pytest.mark.parametrize(
    ("reason", "status", "body", "headers"),
    [
        ("too_many", 429, TOO_MANY, (("Retry-After", "60"),)),
        ("locked", 403, CODES_LOCKED, ()),
        ("undeliverable", 403, UNDELIVERABLE, ()),
    ],
)
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_refused_challenge_gets_a_reply_and_is_not_counted(reason, status, body, headers, number):
    payment = payment_in(Status.CHALLENGING, challenge_number=number)

    decision = after_refusal(payment, refused(payment, reason), NOON)

    answer, state = answer_in(decision), decision.state
    assert (answer.request_id, answer.status, answer.body) == (REQUEST, status, body)
    assert answer.headers == headers
    assert (state.status, state.version) == (Status.AWAITING_CODE, payment.version + 1)
    assert (state.challenge_number, state.challenge_over) == (number - 1, True)
    assert (state.due_at, state.answer_body) == (payment.due_at, None)


def test_the_refusal_of_an_earlier_request_is_ignored():
    payment = payment_in(Status.CHALLENGING, version=4)

    assert after_refusal(payment, refused(payment, version=2), NOON).state is payment


@pytest.mark.parametrize("status", [status for status in Status if status != "CHALLENGING"])
def test_a_late_refusal_does_not_change_a_payment(status):
    payment = payment_in(status)

    decision = after_refusal(payment, refused(payment, version=payment.version), NOON)

    assert (decision.state, decision.events) == (payment, ())


@pytest.mark.parametrize(("number", "over"), [(1, False), (1, True), (3, False), (3, True)])
def test_a_code_of_a_locked_user_does_not_decline_the_payment(number, over):
    payment = payment_in(Status.VERIFYING, challenge_number=number)

    decision = judged(payment, "locked", challenge_over=over, codes_locked=True)

    answer = answer_in(decision)
    assert (answer.status, answer.body) == (403, CODES_LOCKED)
    assert (decision.state.status, decision.state.challenge_over) == (Status.AWAITING_CODE, over)


def judged(payment, *args, funds=True, **fields):
    return after_verification(
        payment, verified(payment, *args, **fields), POLICY, NOON, funds=funds
    )


def test_the_right_code_holds_the_funds_and_confirms():
    decision = judged(payment_in(Status.VERIFYING), challenge_over=True)

    assert decision.state.status is Status.CONFIRMED
    assert decision.state.accepted_tag == "tag-1"
    assert answer_in(decision).body == SUCCESS
    assert decision.transfer.kind == "HOLD"


def test_the_right_code_without_funds_declines():
    decision = judged(payment_in(Status.VERIFYING), funds=False)

    assert answer_in(decision).body == declined("insufficient_funds")
    assert decision.transfer is None


@pytest.mark.parametrize("result", ["invalid", "expired", "locked"])
@pytest.mark.parametrize(
    ("number", "over"),
    [
        pytest.param(1, False, id="attempts are left"),
        pytest.param(2, True, id="the second challenge is over"),
        pytest.param(3, False, id="the third challenge goes on"),
    ],
)
def test_a_wrong_code_is_401_and_another_code_may_follow(result, number, over):
    payment = payment_in(Status.VERIFYING, challenge_number=number)

    decision = judged(payment, result, challenge_over=over)

    answer = answer_in(decision)
    assert (answer.status, answer.body) == (401, INVALID_OTP)
    assert decision.state.status is Status.AWAITING_CODE
    assert decision.state.challenge_over is over
    assert decision.state.due_at == ENDS + POLICY.state_timeout
    assert (decision.state.tag_under_test, decision.state.answer_body) == (None, None)


@pytest.mark.parametrize("result", ["invalid", "expired", "locked"])
def test_the_end_of_the_third_challenge_declines(result):
    payment = payment_in(Status.VERIFYING, challenge_number=3)

    decision = judged(payment, result, challenge_over=True)

    assert answer_in(decision).body == declined("otp_exhausted")


def test_the_result_of_an_earlier_code_is_ignored():
    payment = payment_in(Status.VERIFYING)

    assert judged(payment, request_id=LATER_REQUEST).state is payment


@pytest.mark.parametrize("status", [status for status in Status if status != "VERIFYING"])
@pytest.mark.parametrize("result", ["valid", "invalid", "expired", "locked"])
def test_a_late_code_result_does_not_change_a_payment(status, result):
    payment = payment_in(status)

    decision = judged(payment, result, challenge_over=True)

    assert decision.state is payment
    assert (decision.events, decision.transfer) == ((), None)


@pytest.mark.parametrize("status", OPEN)
def test_a_hit_of_a_changed_list_declines_an_open_payment(status):
    decision = after_new_hit(payment_in(status), NOON)

    state, answer = decision.state, answer_in(decision)
    assert (state.status, state.reason) == (Status.DECLINED, "not_permitted")
    assert (answer.status, answer.body) == (403, declined("not_permitted"))
    assert kinds(decision) == ["PaymentDeclined"]
    assert decision.transfer is None


@pytest.mark.parametrize("status", DONE)
def test_a_hit_of_a_changed_list_does_not_change_a_final_payment(status):
    payment = payment_in(status)

    decision = after_new_hit(payment, NOON)

    assert (decision.state, decision.events, decision.transfer) == (payment, (), None)
