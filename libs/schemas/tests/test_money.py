from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payment_schemas.money import DECIMALS, Money, decimal_of, minor_units

CURRENCIES = st.sampled_from(sorted(DECIMALS))


@pytest.mark.parametrize(
    ("currency", "decimals"), [("USD", 2), ("EUR", 2), ("JPY", 0), ("KWD", 3), ("CLF", 4)]
)
def test_a_currency_has_the_decimals_that_iso_4217_gives_it(currency, decimals):
    assert DECIMALS[currency] == decimals


@pytest.mark.parametrize(
    ("minor", "currency", "shown"),
    [
        (520_000, "USD", "5200.00"),
        (1, "USD", "0.01"),
        (0, "USD", "0.00"),
        (520, "JPY", "520"),
        (1, "KWD", "0.001"),
        (1, "CLF", "0.0001"),
        (10**15, "CLF", "100000000000.0000"),
    ],
)
def test_an_amount_is_shown_with_all_decimals_of_its_currency(minor, currency, shown):
    assert Money(minor, currency).major() == shown
    assert str(Money(minor, currency)) == f"{shown} {currency}"


@pytest.mark.parametrize(
    ("number", "currency", "minor"),
    [
        ("5200", "USD", 520_000),
        ("5200.00", "USD", 520_000),
        ("0.01", "USD", 1),
        ("0.010", "USD", 1),
        ("0.001", "USD", None),
        ("0.1", "JPY", None),
        ("0.001", "KWD", 1),
        ("1." + "0" * 39 + "1", "USD", None),
    ],
)
def test_minor_units_are_exact_or_none(number, currency, minor):
    assert minor_units(Decimal(number), currency) == minor


@given(st.integers(0, 10**16), CURRENCIES)
def test_an_amount_survives_the_way_to_text_and_back(minor, currency):
    assert minor_units(decimal_of(Money(minor, currency).major()), currency) == minor


@pytest.mark.parametrize("text", ["", "one", "NaN", "Infinity", "-Infinity", "1e", "--1"])
def test_what_is_no_number_is_refused(text):
    with pytest.raises(ValueError, match="must be a number"):
        decimal_of(text)
