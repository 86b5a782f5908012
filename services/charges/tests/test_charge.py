"""What follows from a reply, an act or a webhook, for one charge."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from charges.domain import acts
from charges.domain.answers import outcome_of, shown_status, usage_answer
from charges.domain.charge import (
    Call,
    Charge,
    Goal,
    Policy,
    Status,
    Step,
    after_reply,
    begin,
    next_call,
)
from charges.domain.ids import charge_id_of, transaction_id
from charges.domain.refund import Refund, RefundStatus, after_refund_reply, begin_refund
from charges.domain.replies import Kind, Reply
from payment_schemas.money import Money

NOW = datetime(2026, 11, 30, tzinfo=UTC)
POLICY = Policy()
SOFT = Reply(Kind.DECLINED, "do_not_honor", is_soft=True)


def charge(status=Status.AUTHORIZING, **fields):
    made = Charge(
        UUID(int=1), "usr-1", Money(1_000, "EUR"), "tok_1", "a@example.com", NOW, NOW,
        provider="stripe", sent_at=NOW, next_step=Step.ENQUIRE,
    )  # fmt: skip
    return replace(made, status=status, **fields)


def paid(**fields):
    return charge(Status.CAPTURED, due_at=None, captured_minor=1_000, **fields)


def after(before, reply, now=NOW, call=None):
    call = call or Call(Step.ENQUIRE, before.attempt)
    return after_reply(before, call, reply, now, POLICY)


def test_a_killed_process_leaves_an_enquiry_as_the_next_step():
    new = charge(Status.CREATED, provider=None, sent_at=None, next_step=Step.AUTHORIZE)
    begun = begin(new, "adyen", NOW)
    assert (begun.status, begun.next_step) == (Status.AUTHORIZING, Step.ENQUIRE)
    assert (begun.provider, begun.sent_at) == ("adyen", NOW)


@pytest.mark.parametrize("kind", [Kind.NO_ANSWER, Kind.NOT_FOUND, Kind.PENDING])
def test_what_is_unknown_stays_at_its_provider(kind):
    state = after(charge(), Reply(kind)).state
    assert (state.provider, state.attempt) == ("stripe", 1)
    assert state.due_at > NOW


def test_an_authorization_that_a_webhook_has_reported_is_not_in_doubt():
    held, silence = charge(Status.AUTHORIZED), Reply(Kind.NO_ANSWER)
    late = after(held, silence, call=Call(Step.AUTHORIZE, 1)).state
    assert (late.status, late.next_step) == (Status.AUTHORIZED, Step.CAPTURE)
    doubt = after(held, silence, call=Call(Step.CAPTURE, 1)).state
    assert (doubt.status, doubt.next_step) == (Status.UNKNOWN, Step.ENQUIRE)
    unsent = after(held, Reply(Kind.NOT_SENT), call=Call(Step.CAPTURE, 1)).state
    assert (unsent.status, unsent.next_step) == (Status.AUTHORIZED, Step.CAPTURE)


def test_nothing_is_sent_hours_later():
    late = NOW + timedelta(hours=2)
    unsent = charge(Status.CREATED, sent_at=None, next_step=Step.AUTHORIZE)
    assert next_call(unsent, late, POLICY) is None
    assert next_call(replace(unsent, sent_at=NOW), late, POLICY) is Step.ENQUIRE
    assert after(charge(), Reply(Kind.NOT_FOUND), late).state.code == "timed_out"


def test_a_soft_decline_goes_to_another_provider_once_with_consent():
    again = after(charge(), SOFT).state
    assert (again.status, again.tried, again.attempt) == (Status.CREATED, ("stripe",), 2)
    second = replace(again, provider="adyen", status=Status.AUTHORIZING)
    assert after(second, SOFT).state.status is Status.DECLINED
    for no in (charge(may_retry=False), charge(goal=Goal.VOID), charge(Status.AUTHORIZED)):
        assert after(no, SOFT).state.status in (Status.DECLINED, Status.CANCELLED)
    hard = Reply(Kind.DECLINED, "expired_card")
    assert after(charge(), hard).state.status is Status.DECLINED


def test_only_what_certainly_never_left_goes_elsewhere_without_a_decline():
    first = Call(Step.AUTHORIZE, 1, is_first=True)
    for kind in (Kind.NOT_SENT, Kind.REFUSED):
        assert after(charge(), Reply(kind), call=first).state.attempt == 2
        assert after(charge(), Reply(kind)).state.attempt == 1
    assert after(
        charge(attempt=4), Reply(Kind.REFUSED), call=replace(first, attempt=4)
    ).state.status is (Status.FAILED)


def test_a_webhook_of_an_earlier_attempt_changes_nothing():
    second = charge(attempt=2, provider="adyen", tried=("stripe",))
    report = Call(Step.REPORT, 1)
    stale = after(second, SOFT, call=report)
    assert (stale.state, stale.is_late) == (second, False)
    assert after(second, Reply(Kind.CAPTURED), call=report).is_late


@pytest.mark.parametrize(
    ("before", "kind", "is_late"),
    [
        (charge(Status.DECLINED), Kind.CAPTURED, True),
        (charge(Status.FAILED), Kind.AUTHORIZED, True),
        (charge(Status.CANCELLED), Kind.CAPTURED, True),
        (charge(Status.CANCELLED), Kind.AUTHORIZED, True),
        (charge(Status.CANCELLED, provider_reference="pi_1"), Kind.AUTHORIZED, False),
        (paid(), Kind.AUTHORIZED, False),
        (paid(), Kind.CAPTURED, False),
        (paid(), Kind.CANCELLED, True),
    ],
)
def test_what_contradicts_an_outcome_is_noted_and_changes_nothing(before, kind, is_late):
    found = after(before, Reply(kind))
    assert (found.state, found.is_late) == (before, is_late)


def test_a_cancel_during_a_call_waits_for_its_outcome():
    voided = acts.cancel(charge(), NOW)
    assert (voided.status, voided.goal) == (Status.AUTHORIZING, Goal.VOID)
    assert after(voided, Reply(Kind.AUTHORIZED)).state.next_step is Step.VOID
    assert after(voided, Reply(Kind.CAPTURED)).state.status is Status.CAPTURED
    early = after(voided, Reply(Kind.NOT_FOUND)).state
    assert (early.status, early.next_step) == (Status.AUTHORIZING, Step.ENQUIRE)
    over = after(voided, Reply(Kind.NOT_FOUND), NOW + timedelta(seconds=61)).state
    assert over.status is Status.CANCELLED


def test_refunds_reserve_what_they_take_and_release_it_when_they_fail():
    first = acts.refund(paid(), 700)
    assert (first.charge.refunding_minor, first.charge.refundable_minor) == (700, 300)
    assert acts.refund(first.charge, 301) is acts.Refusal.EXCEEDS
    assert acts.refund(charge(), 1) is acts.Refusal.NOT_PAID
    failed = acts.after_refund(first.charge, 700, is_done=False)
    assert (failed.refundable_minor, failed.status) == (1_000, Status.CAPTURED)
    whole = acts.after_refund(acts.refund(failed, None).charge, 1_000, is_done=True)
    assert (whole.status, whole.refundable_minor) == (Status.REFUNDED, 0)
    assert acts.refund(whole, None) is acts.Refusal.EXCEEDS


def test_a_refund_that_may_have_been_done_is_never_released():
    new = Refund(
        UUID(int=2), UUID(int=1), "usr-1", Money(5, "EUR"), "stripe", "chg-1", "pi_1", due_at=NOW
    )
    sent = begin_refund(new)
    refused = Reply(Kind.REFUSED, "already")
    first = after_refund_reply(sent, refused, NOW, POLICY, is_first=True)
    assert first.status is RefundStatus.FAILED
    later = after_refund_reply(sent, refused, NOW, POLICY)
    assert later.status is RefundStatus.SENDING
    unknown = after_refund_reply(sent, Reply(Kind.NO_ANSWER), NOW, POLICY, is_first=True)
    assert unknown.status is RefundStatus.UNKNOWN
    done = after_refund_reply(unknown, Reply(Kind.REFUNDED), NOW, POLICY)
    assert after_refund_reply(done, Reply(Kind.DECLINED), NOW, POLICY) is done


@pytest.mark.parametrize(
    ("review", "kind", "left"),
    [
        ("LISTED", Kind.DECLINED, "NONE"),
        ("HELD", Kind.CANCELLED, "NONE"),
        ("LISTED", Kind.CAPTURED, "LISTED"),
        ("APPROVED", Kind.DECLINED, "APPROVED"),
        ("REJECTED", Kind.CANCELLED, "REJECTED"),
    ],
)
def test_what_ends_without_money_needs_no_review(review, kind, left):
    ended = after(charge(review=review), Reply(kind)).state
    assert ended.review == left
    assert acts.review(ended, NOW, is_approved=True) is acts.Refusal.NOT_IN_REVIEW or (
        left == "LISTED"
    )


def test_a_held_charge_that_was_not_sent_needs_no_review_once_it_is_cancelled():
    new = charge(Status.CREATED, review="HELD", goal=Goal.HOLD, provider=None, sent_at=None)
    assert acts.cancel(new, NOW).review == "NONE"


def test_a_review_holds_and_releases():
    held = charge(Status.AUTHORIZED, goal=Goal.HOLD, review="HELD", due_at=None)
    assert acts.capture(held, NOW) is acts.Refusal.IN_REVIEW
    assert outcome_of(held) == "review"
    assert acts.review(held, NOW, is_approved=True).next_step is Step.CAPTURE
    assert acts.review(held, NOW, is_approved=False).next_step is Step.VOID
    listed = acts.review(paid(review="LISTED"), NOW, is_approved=False)
    assert (listed.status, listed.review) == (Status.CAPTURED, "REJECTED")
    assert acts.review(listed, NOW, is_approved=True) is acts.Refusal.NOT_IN_REVIEW


def test_no_score_is_invented():
    answer = usage_answer(paid(), "success")
    assert answer["riskScore"] is None
    assert "routed to Stripe" in answer["explanation"]
    assert shown_status(charge(Status.UNKNOWN)) == "PROCESSING"


def test_ids_are_parsed_strictly():
    made = transaction_id(UUID(int=1))
    assert charge_id_of(made) == UUID(int=1)
    for wrong in (made.upper(), made[:-1], made + "\n", "pay_" + made[4:], "txn_abc123"):
        assert charge_id_of(wrong) is None
