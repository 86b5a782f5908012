from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payment_schemas.money import DECIMALS, Money, amount_minor_of, decimal_of, minor_units

CURRENCIES = st.sampled_from(sorted(DECIMALS))


@pytest.mark.parametrize(
    ("currency", "decimals"),
    [("USD", 2), ("EUR", 2), ("JPY", 0), ("KWD", 3), ("CLF", 4), ("XCG", 2), ("ISK", 0)],
)
def test_a_currency_has_the_decimals_of_iso_4217(currency, decimals):
    assert DECIMALS[currency] == decimals


@pytest.mark.parametrize("code", ["ANG", "BGN", "CUC", "HRK", "SLL", "ZWL", "XXX", "XTS", "XAU"])
def test_withdrawn_codes_and_codes_without_a_minor_unit_are_no_currency(code):
    assert code not in DECIMALS


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
def test_an_amount_is_equal_after_writing_and_parsing(minor, currency):
    assert minor_units(decimal_of(Money(minor, currency).major()), currency) == minor


@given(st.integers(0, 10**16), CURRENCIES)
def test_an_amount_may_have_12_digits_before_the_point(minor, currency):
    shown = Money(minor, currency).major()
    if minor < 10 ** (12 + DECIMALS[currency]):
        assert amount_minor_of(shown, currency, positive=False) == minor
    else:
        with pytest.raises(ValueError, match="at most 12 digits before the point"):
            amount_minor_of(shown, currency)


@given(st.integers(0, 10**9), CURRENCIES, st.integers(1, 3))
def test_zeros_count_as_decimals(whole, currency, more):
    with pytest.raises(ValueError, match=f"at most {DECIMALS[currency]} decimals"):
        amount_minor_of(f"{whole}.{'0' * (DECIMALS[currency] + more)}", currency, positive=False)


@pytest.mark.parametrize(
    "written", ["", "-1", "+1", " 1", "1 ", "1e3", "1_000", "٣", ".5", "1.", "0x1"]
)
def test_an_amount_is_digits_and_a_point(written):
    with pytest.raises(ValueError, match="must be 0 or more, with at most 2 decimals"):
        amount_minor_of(written, "USD", positive=False)


@pytest.mark.parametrize("text", ["", "one", "NaN", "Infinity", "-Infinity", "1e", "--1"])
def test_a_text_that_is_not_a_number_is_refused(text):
    with pytest.raises(ValueError, match="must be a number"):
        decimal_of(text)
