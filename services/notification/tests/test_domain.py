"""Which messages are sent, what they say, and how each ends."""

import re
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notification_world import CONTACT, challenged

from notification.domain import (
    PATIENCE,
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
def test_each_outcome_is_one_mail_that_is_worth_a_day(event_class, fields, template):
    made = mail(event_class, **fields)
    assert (made.channel, made.template, made.due_at) == ("email", template, NOON)
    assert made.expires_at == NOON + PATIENCE
    assert made.sealed_code is None


@pytest.mark.parametrize("status", ["SENT", "SETTLED", "UNKNOWN", "RECONCILE"])
def test_no_other_step_of_a_settlement_is_told(status):
    assert mail(SettlementUpdated, status=status) is None


def test_a_code_goes_by_text_message_until_it_expires():
    event = challenged()
    made = code_delivery(event, EVENT, NOON)
    assert (made.channel, made.template) == ("sms", "code")
    assert (made.expires_at, made.sealed_code) == (event.code_expires_at, event.sealed_code)


def test_one_event_and_channel_is_one_delivery():
    assert text().id == delivery_id_of(EVENT, "sms") == code_delivery(challenged(), EVENT, NOON).id
    assert delivery_id_of(EVENT, "sms") != delivery_id_of(EVENT, "email")


def test_a_codes_text_says_amount_and_payee():
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
def test_a_mail_says_what_became_of_which_payment(made, subject, says):
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
def test_no_message_holds_what_a_phone_would_make_a_link_of(made, payee, shown):
    message = message_of(replace(made(), to_account=payee), CONTACT, Personal("789012"))
    assert f"to {shown}" in message.text.reveal()
    assert payee not in message.text.reveal()


@given(st.text("abcXYZ019._:-", min_size=1, max_size=64))
def test_whatever_the_payee_is_called_a_text_message_has_letters_digits_and_one_amount(payee):
    message = message_of(replace(text(), to_account=payee), CONTACT, Personal("789012"))
    assert re.fullmatch(
        r"789012 is your code for 5200\.00 USD to [A-Za-z0-9]*\. Never tell it to anyone\.",
        message.text.reveal(),
    )


def test_nothing_of_a_message_prints_who_gets_it_or_what_it_says():
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
def test_an_end_is_told_once_and_forgets_the_code(kind, status, result):
    decision = after_attempt(text(), Attempt(kind, "why", "SM1"), NOON, POLICY)
    assert (decision.state.status, decision.state.due_at) == (status, None)
    assert decision.state.sealed_code is None
    (event,) = decision.events
    assert (event.result, event.provider_id, event.delivery_id) == (result, "SM1", text().id)
    assert event.obsolete is (kind is Kind.OBSOLETE)


def test_what_was_not_taken_is_tried_again_and_told_to_nobody():
    decision = after_attempt(text(), Attempt(Kind.NOT_TAKEN, "status_503"), NOON, POLICY)
    assert decision.state.due_at == NOON + timedelta(seconds=1)
    assert (decision.state.tries, decision.state.reason) == (1, "status_503")
    assert decision.state.sealed_code is not None
    assert decision.events == ()


def test_nothing_is_tried_later_than_it_is_of_use():
    tired = replace(text(), tries=20)
    decision = after_attempt(tired, Attempt(Kind.NOT_TAKEN), NOON, POLICY)
    assert decision.state.due_at == min(tired.expires_at, NOON + timedelta(seconds=300))
    last = tired.expires_at - timedelta(seconds=1)
    late = after_attempt(tired, Attempt(Kind.NOT_TAKEN), last, POLICY)
    assert late.state.due_at == tired.expires_at


@pytest.mark.parametrize(("seconds", "over"), [(-1, False), (0, True), (1, True)])
def test_a_code_that_has_expired_is_of_no_use(seconds, over):
    made = text()
    assert is_over(made, made.expires_at + timedelta(seconds=seconds)) is over


@pytest.mark.parametrize(("tries", "seconds"), [(1, 1), (3, 4), (9, 256), (10, 300), (5000, 300)])
def test_a_provider_is_tried_ever_more_seldom_up_to_a_bound(tries, seconds):
    assert POLICY.after(tries, NOON) == NOON + timedelta(seconds=seconds)


@pytest.mark.parametrize("given", ["dead letter", "", None, 7, "x" * 129])
def test_prose_from_a_provider_goes_no_further(given):
    assert provider_code(given) is None


def test_a_providers_id_is_kept():
    assert provider_code("SM0123abc") == "SM0123abc"


@given(st.lists(st.sampled_from(Kind), min_size=1, max_size=20))
def test_a_delivery_ends_once_and_is_due_until_then(kinds):
    state, told = text(), []
    for kind in kinds:
        assert (state.due_at is None) == (state.status is not Status.QUEUED)
        if state.status is not Status.QUEUED:
            break
        decision = after_attempt(state, Attempt(kind), NOON, POLICY)
        state, told = decision.state, [*told, *decision.events]
    assert len(told) == (state.status is not Status.QUEUED)
    assert (state.sealed_code is None) == (state.status is not Status.QUEUED)
