"""First requests: refused without effect, declined at once, or stored as a new payment."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from confirm_builders import (
    ACCOUNT,
    POLICY,
    answer_in,
    created,
    first_request,
    kinds,
    uetr,
)
from hypothesis import given
from hypothesis import strategies as st

from confirm.domain.payment import Status
from confirm.domain.request_batch import NO_ACCOUNT
from confirm.domain.requests import CROCKFORD, create, reference_of, refusal
from payment_schemas.ids import payment_id_of
from testkit.events import NOON

UNKNOWN = '{"error":"Unknown account: acc-1"}'


@pytest.mark.parametrize(
    ("fields", "account", "status", "body"),
    [
        ({"amount": None}, ACCOUNT, 400, '{"error":"Missing field: amount"}'),
        ({"from_account": None}, ACCOUNT, 400, '{"error":"Missing field: from_account"}'),
        ({"to_account": None}, ACCOUNT, 400, '{"error":"Missing field: to_account"}'),
        (
            {"amount": None, "from_account": None, "to_account": None},
            ACCOUNT,
            400,
            '{"error":"Missing field: amount"}',
        ),
        ({"to_account": None}, NO_ACCOUNT, 400, '{"error":"Missing field: to_account"}'),
        ({}, NO_ACCOUNT, 404, UNKNOWN),
        ({}, replace(ACCOUNT, owner="usr-457"), 404, UNKNOWN),
        ({}, replace(ACCOUNT, owner=None), 404, UNKNOWN),
        ({"currency": "EUR"}, replace(ACCOUNT, owner="usr-457"), 404, UNKNOWN),
        (
            {"currency": "EUR"},
            ACCOUNT,
            400,
            '{"error":"Invalid field: currency","details":"must be the account\'s currency"}',
        ),
        (
            {},
            replace(ACCOUNT, currency="EUR"),
            400,
            '{"error":"Invalid field: currency","details":"must be the account\'s currency"}',
        ),
        (
            {"currency": "KWD"},
            replace(ACCOUNT, currency="KWD"),
            400,
            '{"error":"Invalid field: currency","details":"is not supported"}',
        ),
    ],
)
def test_an_invalid_first_request_is_refused_with_the_first_reason(fields, account, status, body):
    answer = refusal(first_request(**fields), account, POLICY)

    assert (answer.status, answer.body) == (status, body)


@pytest.mark.parametrize("currency", [None, "USD"])
def test_a_complete_request_on_the_users_own_account_is_not_refused(currency):
    assert refusal(first_request(currency=currency), ACCOUNT, POLICY) is None


def test_a_new_payment_waits_for_its_risk_result():
    request = first_request(
        amount="5200.01",
        context={"ip_address": "192.0.2.7", "device_fingerprint": "dev-1", "country": "US"},
    )

    decision = create(request, ACCOUNT, uetr(7), POLICY, NOON)

    payment = decision.state
    assert payment.status is Status.AWAITING_RISK
    assert payment.id == payment_id_of("usr-456", "tx-987")
    assert (payment.version, payment.amount_minor, payment.currency) == (1, 520_001, "USD")
    assert payment.due_at == NOON + timedelta(minutes=15)
    assert (payment.uetr, payment.reference) == (uetr(7), "0000000007")
    (event,) = decision.events
    assert type(event).__name__ == "AssessmentRequested"
    assert (event.amount_minor, event.expires_at) == (520_001, payment.due_at)
    assert event.context == payment.context == request.context


def test_a_payment_keeps_what_funds_it():
    request = first_request(instrument="CASH", branch="branch-1")
    payment = create(request, ACCOUNT, uetr(7), POLICY, NOON).state
    assert (payment.instrument, payment.branch) == ("CASH", "branch-1")


@given(st.uuids(version=4))
def test_a_reference_has_ten_characters_derived_from_the_uetr(drawn):
    reference = reference_of(drawn)

    assert len(reference) == 10
    assert set(reference) <= set(CROCKFORD)
    assert reference_of(UUID(str(drawn))) == reference
    number = sum(CROCKFORD.index(c) << 5 * n for n, c in enumerate(reversed(reference)))
    assert number == drawn.int % 2**50


@pytest.mark.parametrize(
    ("left", "lasts"),
    [
        pytest.param(timedelta(minutes=1), timedelta(minutes=1), id="it has waited for 14 minutes"),
        pytest.param(timedelta(hours=1), timedelta(minutes=15), id="a gateway allows more"),
        pytest.param(None, timedelta(minutes=15), id="an older gateway sets no end"),
    ],
)
def test_the_deadline_of_a_payment_is_not_after_the_end_of_its_command(left, lasts):
    request = first_request(expires_at=None if left is None else NOON + left)

    decision = create(request, ACCOUNT, uetr(), POLICY, NOON)

    assert decision.state.due_at == decision.events[0].expires_at == NOON + lasts


def test_a_code_on_a_first_request_is_not_stored():
    payment = create(first_request(code_tag="tag-1"), ACCOUNT, uetr(), POLICY, NOON).state

    assert (payment.tag_under_test, payment.accepted_tag) == (None, None)


def test_the_same_transaction_id_of_another_user_is_another_payment():
    assert created().id != created(user_id="usr-457").id


@pytest.mark.parametrize(
    ("account", "declined"),
    [
        pytest.param(replace(ACCOUNT, balance_minor=519_999), True, id="a cent short"),
        pytest.param(replace(ACCOUNT, balance_minor=520_000), False, id="exactly enough"),
        pytest.param(
            replace(ACCOUNT, balance_minor=0, minimum_minor=-520_000), False, id="an overdraft"
        ),
        pytest.param(
            replace(ACCOUNT, balance_minor=600_000, minimum_minor=80_001), True, id="a reserve"
        ),
        pytest.param(replace(ACCOUNT, balance_minor=0, minimum_minor=None), False, id="unbounded"),
    ],
)
def test_a_payment_without_funds_is_declined_before_a_code_is_requested(account, declined):
    decision = create(first_request(), account, uetr(), POLICY, NOON)

    assert (decision.state.status is Status.DECLINED) is declined
    if declined:
        body = '{"status":"DECLINED","transaction_id":"tx-987","reason":"insufficient_funds"}'
        assert (answer_in(decision).status, answer_in(decision).body) == (403, body)
        assert (decision.state.answer_status, decision.state.answer_body) == (403, body)
        assert decision.state.due_at is None
        assert kinds(decision) == ["PaymentDeclined"]


@pytest.mark.parametrize("fields", [{"amount": "1.234"}, {"to_account": None}])
def test_creating_a_payment_from_an_incomplete_request_is_a_fault(fields):
    with pytest.raises(ValueError, match="must be complete"):
        create(first_request(**fields), ACCOUNT, uetr(), POLICY, NOON)
