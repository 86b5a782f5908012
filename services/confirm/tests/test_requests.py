"""The contract's table of states for later requests: one case for each cell."""

from dataclasses import replace
from datetime import timedelta

import pytest
from confirm_builders import (
    ENDS,
    INVALID_OTP,
    LATER_REQUEST,
    POLICY,
    SUCCESS,
    again,
    answer_in,
    declined,
    kinds,
    otp_required,
    payment_in,
)

from confirm.domain.payment import Policy, Status
from confirm.domain.requests import on_request
from testkit.events import CHALLENGE, NOON

IN_PROGRESS = '{"error":"Request in progress","details":"Retry with the same idempotency key"}'
REPLAYED = (("Idempotent-Replayed", "true"),)
RUNNING = [Status.AWAITING_RISK, Status.CHALLENGING, Status.VERIFYING]
DONE = [Status.CONFIRMED, Status.DECLINED]
OPEN = [*RUNNING, Status.AWAITING_CODE]
ENDED = ENDS + timedelta(seconds=60)


def decided(payment, request, now=NOON, policy=POLICY):
    """The decision on a request, and its reply as status, body, headers."""
    decision = on_request(payment, request, policy, now)
    answer = answer_in(decision)
    return decision, answer and (answer.status, answer.body, answer.headers)


@pytest.mark.parametrize("status", RUNNING)
@pytest.mark.parametrize("code", [None, "tag-1"])
def test_a_request_for_a_running_payment_gets_in_progress(status, code):
    payment = payment_in(status)

    decision, answer = decided(payment, again(code))

    assert answer == (409, IN_PROGRESS, (("Retry-After", "1"),))
    assert decision.state is payment
    assert kinds(decision) == []


@pytest.mark.parametrize("status", OPEN)
@pytest.mark.parametrize("code", [None, "tag-1"])
def test_a_request_after_the_deadline_declines_the_payment_as_timed_out(status, code):
    payment = payment_in(status, due_at=NOON)

    decision, answer = decided(payment, again(code))

    assert (decision.state.status, decision.state.reason) == (Status.DECLINED, "timed_out")
    assert answer == (403, declined("timed_out"), ())
    assert answer_in(decision).request_id == LATER_REQUEST
    assert kinds(decision) == ["PaymentDeclined"]


def test_a_code_that_is_read_again_after_its_verdict_is_not_judged_again():
    request = again("tag-9")
    judged = replace(payment_in(Status.AWAITING_CODE), request_id=request.request_id)

    decision, answer = decided(judged, request)

    assert decision.state is judged
    assert answer[0] == 401
    assert kinds(decision) == []


def test_the_deadline_of_a_code_is_not_after_the_end_of_its_command():
    ends_at = NOON + timedelta(seconds=20)

    decision, _ = decided(payment_in(Status.AWAITING_CODE), again("tag-1", expires_at=ends_at))

    assert decision.state.status is Status.VERIFYING
    assert decision.state.due_at == decision.events[0].expires_at == ends_at


NEVER_ISSUED = {
    "challenge_number": 0,
    "challenge_id": None,
    "challenged_at": None,
    "challenge_ends_at": None,
    "challenge_over": True,
}
"""Fields of a payment whose challenges were all refused."""


@pytest.mark.parametrize(
    ("fields", "number"),
    [
        pytest.param(NEVER_ISSUED, 1, id="none was issued so far"),
        pytest.param({"challenge_number": 2, "challenge_over": True}, 3, id="a later one"),
    ],
)
def test_after_a_refused_challenge_the_same_request_asks_for_it_again(fields, number):
    payment = payment_in(Status.AWAITING_CODE, **fields)

    decision, answer = decided(payment, again(), ENDED)

    assert (answer, kinds(decision)) == (None, ["ChallengeRequested"])
    assert decision.state.status is Status.CHALLENGING
    assert decision.state.challenge_number == number
    assert decision.state.request_id == LATER_REQUEST


def test_a_code_without_an_issued_challenge_is_invalid():
    payment = payment_in(Status.AWAITING_CODE, **NEVER_ISSUED)

    decision, answer = decided(payment, again("tag-1"))

    assert answer == (401, INVALID_OTP, ())
    assert (decision.state, kinds(decision)) == (payment, [])


@pytest.mark.parametrize(
    ("after_s", "left_s"),
    [
        pytest.param(0, 300, id="at once"),
        pytest.param(0.2, 300, id="seconds left are rounded up"),
        pytest.param(299.9, 1, id="a tenth of a second before the end"),
    ],
)
def test_a_request_without_a_code_gets_the_seconds_left(after_s, left_s):
    payment = payment_in(Status.AWAITING_CODE)

    decision, answer = decided(payment, again(), NOON + timedelta(seconds=after_s))

    assert answer == (403, otp_required(left_s), ())
    assert decision.state is payment


@pytest.mark.parametrize(
    ("payment", "now"),
    [
        pytest.param(payment_in(Status.AWAITING_CODE), ENDS, id="expired at this moment"),
        pytest.param(payment_in(Status.AWAITING_CODE, challenge_number=2), ENDED, id="second one"),
        pytest.param(
            payment_in(Status.AWAITING_CODE, challenge_over=True),
            NOON + timedelta(seconds=30),
            id="locked, and 30 s old",
        ),
    ],
)
def test_after_a_challenge_is_over_a_new_one_is_requested(payment, now):
    decision, answer = decided(payment, again(), now)

    assert answer is None
    assert kinds(decision) == ["ChallengeRequested"]
    (event,) = decision.events
    assert event.challenge_number == payment.challenge_number + 1
    assert event.expires_at == decision.state.due_at == now + POLICY.state_timeout
    assert decision.state.status is Status.CHALLENGING
    assert (decision.state.request_id, decision.state.reply_partition) == (LATER_REQUEST, 7)
    assert not decision.state.challenge_over


@pytest.mark.parametrize(
    ("after_s", "retry_after"),
    [pytest.param(0, "30", id="at once"), pytest.param(29.5, "1", id="half a second early")],
)
def test_a_new_challenge_within_30_s_of_the_last_is_429(after_s, retry_after):
    payment = payment_in(Status.AWAITING_CODE, challenge_over=True)

    decision, answer = decided(payment, again(), NOON + timedelta(seconds=after_s))

    assert answer == (429, '{"error":"Too many requests"}', (("Retry-After", retry_after),))
    assert decision.state is payment


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"challenge_over": True}, id="locked"),
        pytest.param({"challenge_ends_at": NOON - timedelta(seconds=1)}, id="expired"),
    ],
)
def test_after_the_third_challenge_is_over_the_payment_is_declined(fields):
    payment = payment_in(Status.AWAITING_CODE, challenge_number=3, **fields)

    decision, answer = decided(payment, again())

    assert answer == (403, declined("otp_exhausted"), ())
    assert decision.state.status is Status.DECLINED
    assert kinds(decision) == ["PaymentDeclined"]
    assert answer_in(decision).request_id == LATER_REQUEST


@pytest.mark.parametrize("now", [NOON, ENDED], ids=["live", "expired: otp decides"])
def test_a_code_is_sent_to_otp_and_its_request_waits_for_the_result(now):
    payment = payment_in(Status.AWAITING_CODE)

    decision, answer = decided(payment, again("tag-9"), now)

    assert answer is None
    (event,) = decision.events
    assert (event.challenge_id, event.request_id) == (CHALLENGE, LATER_REQUEST)
    assert event.sealed_code.reveal() == again().sealed_code.reveal()
    assert decision.state.status is Status.VERIFYING
    assert decision.state.tag_under_test == "tag-9"
    assert decision.state.accepted_tag is None
    assert decision.state.request_id == LATER_REQUEST
    assert event.expires_at == decision.state.due_at == now + POLICY.state_timeout


@pytest.mark.parametrize(
    ("accepted", "code"),
    [
        pytest.param(None, None, id="never needed a code, none given"),
        pytest.param(None, "tag-1", id="never needed a code, one given"),
        pytest.param("tag-1", None, id="a code was accepted, none given"),
        pytest.param("tag-1", "tag-1", id="the accepted code"),
    ],
)
def test_a_confirmed_payment_replays_its_response(accepted, code):
    payment = payment_in(Status.CONFIRMED, accepted_tag=accepted)

    decision, answer = decided(payment, again(code))

    assert answer == (200, SUCCESS, REPLAYED)
    assert decision.state is payment


def test_a_confirmed_payment_refuses_another_code_and_does_not_change():
    payment = payment_in(Status.CONFIRMED, accepted_tag="tag-1")

    decision, answer = decided(payment, again("tag-2"))

    assert answer == (401, INVALID_OTP, ())
    assert decision.state is payment


@pytest.mark.parametrize("code", [None, "tag-1"])
def test_a_declined_payment_replays_its_response(code):
    decision, answer = decided(payment := payment_in(Status.DECLINED), again(code))

    assert answer == (403, declined("not_permitted"), REPLAYED)
    assert decision.state is payment


def test_replays_can_be_configured_to_be_409_with_the_same_body():
    policy = Policy(replay_status=409)

    _, answer = decided(payment_in(Status.CONFIRMED), again(), policy=policy)

    assert answer == (409, SUCCESS, REPLAYED)


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"amount": "5200.01"}, id="amount"),
        pytest.param({"from_account": "acc-9"}, id="from_account"),
        pytest.param({"to_account": "payee-known"}, id="to_account"),
        pytest.param({"currency": "EUR"}, id="currency"),
        pytest.param({"transaction_id": "tx-988"}, id="transaction"),
    ],
)
def test_a_key_used_for_another_request_is_422_in_every_state(status, other):
    payment = payment_in(status)

    decision, answer = decided(payment, again(**other))

    body = '{"error":"Idempotency key reused","details":"The key belongs to a different request"}'
    assert answer == (422, body, ())
    assert decision.state is payment


@pytest.mark.parametrize(
    "same",
    [
        pytest.param({"amount": None, "from_account": None, "to_account": None}, id="all left out"),
        pytest.param({"amount": "5200.00"}, id="the amount with its decimals"),
        pytest.param({"currency": "USD"}, id="the currency that was left out at first"),
    ],
)
def test_an_omitted_or_equal_field_is_no_mismatch(same):
    _, answer = decided(payment_in(Status.CONFIRMED), again(**same))

    assert answer == (200, SUCCESS, REPLAYED)


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        (Status.AWAITING_RISK, "PENDING"),
        (Status.CHALLENGING, "PENDING"),
        (Status.VERIFYING, "PENDING"),
        (Status.AWAITING_CODE, "OTP_REQUIRED"),
        (Status.CONFIRMED, "SUCCESS"),
        (Status.DECLINED, "DECLINED"),
    ],
)
@pytest.mark.parametrize("code", [None, "tag-1"])
def test_another_key_gets_the_current_state_and_changes_nothing(status, shown, code):
    payment = payment_in(status)

    decision, answer = decided(payment, again(code, idempotency_key="another"))

    assert answer == (409, f'{{"status":"{shown}","transaction_id":"tx-987"}}', ())
    assert decision.state is payment
