"""Which messages are sent, their texts, and how deliveries end."""

import re
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notification_world import CONTACT, challenged

from notification.domain import (
    NOT_STARTED,
    OUTCOME_LIFETIME,
    Attempt,
    Kind,
    Policy,
    Status,
    after_attempt,
    code_delivery,
    delivery_id_of,
    is_over,
    message_of,
    outcome_delivery,
    provider_code,
)
from payment_schemas.events.confirmation import PaymentConfirmed, PaymentDeclined
from payment_schemas.events.settlement import SettlementUpdated
from payment_schemas.sealed import Personal
from testkit.events import NOON, event_of

EVENT = UUID(int=7, version=4)
POLICY = Policy(first_s=1, most_s=300)


def mail(event_class=PaymentConfirmed, **fields):
    return outcome_delivery(event_of(event_class, **fields), EVENT, NOON)


def text():
    return code_delivery(challenged(), EVENT, NOON)


@pytest.mark.parametrize(
    ("event_class", "fields", "template"),
    [
        pytest.param(PaymentConfirmed, {}, "confirmed", id="confirmed"),
        pytest.param(PaymentDeclined, {}, "declined", id="declined"),
        pytest.param(SettlementUpdated, {"status": "REJECTED"}, "returned", id="returned"),
    ],
)
def test_each_outcome_is_one_mail_that_is_retried_for_a_day(event_class, fields, template):
    made = mail(event_class, **fields)
    assert (made.channel, made.template, made.due_at) == ("email", template, NOON)
    assert made.expires_at == NOON + OUTCOME_LIFETIME
    assert made.sealed_code is None


@pytest.mark.parametrize(("reason", "is_alone"), [(NOT_STARTED, True), ("status_500", False)])
def test_a_mail_whose_call_was_not_started_is_alone_in_its_next_call(reason, is_alone):
    attempt = Attempt(Kind.NOT_TAKEN, reason)
    tried = after_attempt(mail(), attempt, NOON, POLICY).state
    assert message_of(tried, CONTACT, None).is_alone is is_alone


@pytest.mark.parametrize("status", ["SENT", "SETTLED", "UNKNOWN", "RECONCILE"])
def test_no_other_settlement_status_sends_a_message(status):
    assert mail(SettlementUpdated, status=status) is None


def test_a_code_is_a_text_message_until_it_expires():
    event = challenged()
    made = code_delivery(event, EVENT, NOON)
    assert (made.channel, made.template) == ("sms", "code")
    assert (made.expires_at, made.sealed_code) == (event.code_expires_at, event.sealed_code)


def test_one_event_and_channel_have_one_delivery_id():
    assert text().id == delivery_id_of(EVENT, "sms") == code_delivery(challenged(), EVENT, NOON).id
    assert delivery_id_of(EVENT, "sms") != delivery_id_of(EVENT, "email")


def test_the_text_of_a_code_names_amount_and_payee():
    message = message_of(text(), CONTACT, Personal("789012"))
    assert message.to == CONTACT.phone
    assert message.text.reveal() == (
        "789012 is your code for 5200.00 USD to payeexyz. Never tell it to anyone."
    )


@pytest.mark.parametrize(
    ("made", "subject", "says"),
    [
        (mail(), "Payment confirmed", "Your payment of 5200.00 USD to payeexyz is confirmed."),
        (mail(PaymentDeclined), "Payment declined", "payeexyz was declined."),
        (
            mail(SettlementUpdated, status="REJECTED"),
            "Payment returned",
            "the money was returned to you.",
        ),
    ],
)
def test_a_mail_names_the_outcome_and_the_payment(made, subject, says):
    message = message_of(made, CONTACT, None)
    assert (message.to, message.subject) == (CONTACT.email, subject)
    assert says in message.text.reveal()
    assert "tx-987" in message.text.reveal()


@pytest.mark.parametrize(
    ("payee", "shown"),
    [
        ("evil.com", "evilcom"),
        ("www.evil.com:8080", "wwwevilcom8080"),
        ("http:evil.example", "httpevilexample"),
        ("a-b_c", "abc"),
        ("1.2.3.4", "1234"),
    ],
)
@pytest.mark.parametrize("made", [mail, text])
def test_no_message_contains_text_that_a_phone_turns_into_a_link(made, payee, shown):
    message = message_of(replace(made(), to_account=payee), CONTACT, Personal("789012"))
    assert f"to {shown}" in message.text.reveal()
    assert payee not in message.text.reveal()


@given(st.text("abcXYZ019._:-", min_size=1, max_size=64))
def test_any_payee_name_is_reduced_to_letters_and_digits_in_a_text_message(payee):
    message = message_of(replace(text(), to_account=payee), CONTACT, Personal("789012"))
    assert re.fullmatch(
        r"789012 is your code for 5200\.00 USD to [A-Za-z0-9]*\. Never tell it to anyone\.",
        message.text.reveal(),
    )


def test_printed_objects_show_no_recipient_and_no_text():
    printed = repr(message_of(text(), CONTACT, Personal("789012"))) + repr(CONTACT) + repr(text())
    for secret in ("789012", "+15550100456", "usr-456@example.com"):
        assert secret not in printed


@pytest.mark.parametrize(
    ("kind", "status", "result"),
    [
        (Kind.TAKEN, Status.DELIVERED, "delivered"),
        (Kind.REFUSED, Status.REFUSED, "refused"),
        (Kind.TOO_LATE, Status.EXPIRED, "expired"),
        (Kind.OBSOLETE, Status.OBSOLETE, "expired"),
    ],
)
def test_an_end_emits_one_event_and_removes_the_code(kind, status, result):
    decision = after_attempt(text(), Attempt(kind, "why", "SM1"), NOON, POLICY)
    assert (decision.state.status, decision.state.due_at) == (status, None)
    assert decision.state.sealed_code is None
    (event,) = decision.events
    assert (event.result, event.provider_id, event.delivery_id) == (result, "SM1", text().id)
    assert event.obsolete is (kind is Kind.OBSOLETE)


def test_a_failed_attempt_is_retried_and_emits_no_event():
    decision = after_attempt(text(), Attempt(Kind.NOT_TAKEN, "status_503"), NOON, POLICY)
    assert decision.state.due_at == NOON + timedelta(seconds=1)
    assert (decision.state.tries, decision.state.reason) == (1, "status_503")
    assert decision.state.sealed_code is not None
    assert decision.events == ()


def test_no_retry_is_later_than_the_expiry():
    retried = replace(text(), tries=20)
    decision = after_attempt(retried, Attempt(Kind.NOT_TAKEN), NOON, POLICY)
    assert decision.state.due_at == min(retried.expires_at, NOON + timedelta(seconds=300))
    last = retried.expires_at - timedelta(seconds=1)
    late = after_attempt(retried, Attempt(Kind.NOT_TAKEN), last, POLICY)
    assert late.state.due_at == retried.expires_at


@pytest.mark.parametrize(("seconds", "over"), [(-1, False), (0, True), (1, True)])
def test_a_code_is_over_from_its_expiry_on(seconds, over):
    made = text()
    assert is_over(made, made.expires_at + timedelta(seconds=seconds)) is over


@pytest.mark.parametrize(("tries", "seconds"), [(1, 1), (3, 4), (9, 256), (10, 300), (5000, 300)])
def test_waits_between_attempts_double_up_to_a_limit(tries, seconds):
    assert POLICY.after(tries, NOON) == NOON + timedelta(seconds=seconds)


@pytest.mark.parametrize("given", ["dead letter", "", None, 7, "x" * 129])
def test_free_text_from_a_provider_is_dropped(given):
    assert provider_code(given) is None


def test_a_providers_id_is_kept():
    assert provider_code("SM0123abc") == "SM0123abc"


@given(st.lists(st.sampled_from(Kind), min_size=1, max_size=20))
def test_a_delivery_ends_once_and_is_due_until_then(kinds):
    state, events = text(), []
    for kind in kinds:
        assert (state.due_at is None) == (state.status is not Status.QUEUED)
        if state.status is not Status.QUEUED:
            break
        decision = after_attempt(state, Attempt(kind), NOON, POLICY)
        state, events = decision.state, [*events, *decision.events]
    assert len(events) == (state.status is not Status.QUEUED)
    assert (state.sealed_code is None) == (state.status is not Status.QUEUED)
