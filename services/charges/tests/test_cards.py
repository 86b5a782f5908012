"""Cards: their rules, and what becomes of one at a provider."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from charges.domain.cards import CardData, Expiry, InvalidCardError, card_of, network_of
from charges.domain.charge import Policy
from charges.domain.provisions import (
    MOST_TRIES,
    Provision,
    ProvisionStatus,
    after_delete,
    after_store,
    to_delete,
)
from charges.domain.replies import Kind, Reply
from payment_schemas.confirm_body import JsonNumber

NOW = datetime(2026, 11, 30, tzinfo=UTC)
VISA = {"cardNumber": "4242424242424242", "expiryMonth": "12", "expiryYear": "2026"}


@pytest.mark.parametrize(
    ("number", "network"),
    [
        ("4242424242424242", "visa"),
        ("4222222222222", "visa"),
        ("42424242424242", None),
        ("5555555555554444", "mastercard"),
        ("2221000000000009", "mastercard"),
        ("2720990000000000", "mastercard"),
        ("2721000000000004", None),
        ("378282246310005", "amex"),
        ("3782822463100050", None),
        ("6011111111111117", "discover"),
        ("6200000000000005", "unionpay"),
        ("3530111333300000", "jcb"),
        ("30569309025904", "diners"),
        ("6759649826438453", "maestro"),
        ("9999999999999995", None),
    ],
)
def test_the_network_follows_from_length_and_prefix(number, network):
    assert network_of(number) == network


def test_a_card_shows_its_last_digits_and_never_its_number_or_code():
    card = card_of({**VISA, "cardNumber": "4242 4242-4242 4242", "cvc": "123"}, NOW)
    assert (card.network, card.last4, card.expiry) == ("visa", "4242", Expiry(12, 2026))
    assert card.number.reveal() == "4242424242424242"
    assert card.code.reveal() == "123"
    assert "4242424242424242" not in f"{card} {card!r}"
    assert "123" not in f"{card!r}"
    assert card_of(VISA, NOW).code is None


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"cardNumber": "4242424242424241"}, "cardNumber"),
        ({"cardNumber": "42424242424242"}, "cardNumber"),
        ({"cardNumber": "9999999999999995"}, "cardNumber"),
        ({"cardNumber": "4242424242424242x"}, "cardNumber"),
        ({"cardNumber": "\u0664\u0662" * 8}, "cardNumber"),
        ({"cardNumber": JsonNumber("4242424242424242")}, "cardNumber"),
        ({"expiryMonth": "13"}, "expiryMonth"),
        ({"expiryMonth": "00"}, "expiryMonth"),
        ({"expiryYear": "26"}, "expiryYear"),
        ({"expiryYear": "2047"}, "expiryYear"),
        ({"expiryMonth": "10", "expiryYear": "2026"}, "expiryYear"),
        ({"cvc": "1234"}, "cvc"),
        ({"cvc": "12a"}, "cvc"),
    ],
)
def test_a_card_that_cannot_be_is_refused_by_the_fields_name(fields, field):
    with pytest.raises(InvalidCardError) as refused:
        card_of(VISA | fields, NOW)
    assert refused.value.field == field
    assert "4242" not in str(refused.value)


def test_a_missing_field_is_named_and_amex_has_four_digits_of_code():
    with pytest.raises(InvalidCardError) as refused:
        card_of({"expiryMonth": "12", "expiryYear": "2026"}, NOW)
    assert refused.value.field == "cardNumber"
    amex = VISA | {"cardNumber": "378282246310005", "cvc": "1234"}
    assert isinstance(card_of(amex, NOW), CardData)


def test_a_card_is_valid_until_the_end_of_its_month():
    assert not Expiry(11, 2026).is_over(NOW)
    assert Expiry(11, 2026).is_over(NOW + timedelta(days=1))


@pytest.mark.parametrize(
    ("reply", "status", "is_due"),
    [
        (Reply(Kind.AUTHORIZED, reference="pm_1"), ProvisionStatus.STORED, False),
        (Reply(Kind.AUTHORIZED), ProvisionStatus.PENDING, True),
        (Reply(Kind.DECLINED, "expired_card"), ProvisionStatus.REFUSED, False),
        (Reply(Kind.REFUSED, "103"), ProvisionStatus.REFUSED, False),
        (Reply(Kind.NO_ANSWER), ProvisionStatus.PENDING, True),
        (Reply(Kind.NOT_SENT), ProvisionStatus.PENDING, True),
    ],
)
def test_a_card_is_stored_at_a_provider_once_or_tried_again(reply, status, is_due):
    row = Provision(uuid4(), uuid4(), "stripe", NOW)
    after = after_store(row, reply, NOW, Policy())
    assert (after.status, after.due_at is not None, after.tries) == (status, is_due, 1)
    assert (after.provider_token is not None) == (status is ProvisionStatus.STORED)


def test_a_provider_that_never_answers_does_not_get_the_card_for_ever():
    row = replace(Provision(uuid4(), uuid4(), "stripe", NOW), tries=MOST_TRIES - 1)
    after = after_store(row, Reply(Kind.NO_ANSWER), NOW, Policy())
    assert (after.status, after.code, after.due_at) == (ProvisionStatus.REFUSED, "no_answer", None)


def test_a_deleted_card_is_deleted_at_its_provider_however_long_that_takes():
    stored = Provision(
        uuid4(), uuid4(), "stripe", None, status=ProvisionStatus.STORED, provider_token="pm_1"
    )
    row = to_delete(stored, NOW)
    assert (row.status, row.due_at) == (ProvisionStatus.DELETING, NOW)
    for kind in (Kind.NO_ANSWER, Kind.REFUSED, Kind.NOT_SENT) * MOST_TRIES:
        row = after_delete(row, Reply(kind), NOW, Policy())
        assert (row.status, row.provider_token) == (ProvisionStatus.DELETING, "pm_1")
        assert row.due_at > NOW
    for kind in (Kind.CANCELLED, Kind.NOT_FOUND):
        done = after_delete(row, Reply(kind), NOW, Policy())
        assert (done.status, done.provider_token) == (ProvisionStatus.DELETED, None)
        assert done.due_at is None


def test_what_no_provider_has_is_not_deleted_there():
    for status in (ProvisionStatus.PENDING, ProvisionStatus.REFUSED):
        row = Provision(uuid4(), uuid4(), "stripe", NOW, status=status)
        assert to_delete(row, NOW) == row
