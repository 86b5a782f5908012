"""Card numbers are found in every notation, and other ids are not taken for card numbers."""

from datetime import UTC, datetime
from string import ascii_letters

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from payment_schemas.card_numbers import holds_card_number


def with_check_digit(digits: str) -> str:
    """Append the check digit, calculated independently of the code under test."""
    total = 0
    for index, digit in enumerate(map(int, reversed(digits))):
        total += digit if index % 2 else sum(divmod(2 * digit, 10))
    return f"{digits}{-total % 10}"


DIGITS = st.text("0123456789", min_size=12, max_size=18)
SEPARATORS = st.sampled_from(["", "", "", " ", ".", "-", " - "])
WORDS = st.text(ascii_letters + "0123456789", min_size=1, max_size=8)


@st.composite
def written(draw, digits):
    """Digits with separators between some of them."""
    number = draw(digits)
    return "".join(digit + draw(SEPARATORS) for digit in number[:-1]) + number[-1]


@given(written(DIGITS.map(with_check_digit)))
def test_13_to_19_digits_that_pass_luhn_are_a_card_number_however_they_are_grouped(number):
    assert holds_card_number(number)


@given(
    written(DIGITS.map(with_check_digit).map(lambda one: one[:-1] + str((int(one[-1]) + 1) % 10)))
)
def test_digits_that_fail_luhn_are_no_card_number(number):
    assert not holds_card_number(number)


@given(st.text("0123456789", min_size=20, max_size=60) | st.text("0123456789", max_size=12))
def test_fewer_than_13_or_more_than_19_digits_are_no_card_number(number):
    assert not holds_card_number(number)


@pytest.mark.parametrize(
    "text",
    [
        *("tx-4111-1111-1111-1111", "order_4111111111111111", "pay:4111.1111.1111.1111:2"),
        *("invoice4111111111111111", "5555555555554444-x", "card 3782 822463 10005 of mine"),
        "0b9c2a52-6f0c-4c1e-9d3f-0a6a8f7f1c11_4111111111111111",
    ],
)
def test_a_card_number_within_an_id_is_found(text):
    assert holds_card_number(text)


@given(st.uuids())
@example(text="41111111-1111-1111-0000-000000000000")
@example(text="11111111-2222-4333-8444-aaaaaaaaaaaa")
def test_no_uuid_is_taken_for_a_card_number(text):
    for form in (str(text), str(text).upper(), f"tx-{text}", f"{{{text}}}", f"a:{text}:{text}"):
        assert not holds_card_number(form)


@given(st.uuids(version=4))
def test_no_hexadecimal_word_is_taken_for_a_card_number(uuid):
    assert not holds_card_number(uuid.hex)
    assert not holds_card_number(f"req-{uuid.hex}")


@given(
    st.integers(631_152_000, 7_226_582_400).map(lambda s: datetime.fromtimestamp(s, UTC)),
    st.integers(0, 999_999),
    WORDS,
)
def test_a_word_with_a_time_or_counter_is_no_card_number(moment, counter, word):
    """A year, a Unix time in s, ms, µs or ns, and a number with leading zeros."""
    unix_s = int(moment.timestamp())
    marked = f"{word}x"
    if moment.year >= 2010:
        assert not holds_card_number(f"{marked}-{moment:%Y-%m-%d-%H%M%S}-{counter % 1000:03}")
        assert not holds_card_number(f"{marked}_{moment:%Y%m%d%H%M%S}")
    if 10**9 <= unix_s < 2 * 10**9:
        assert not holds_card_number(f"{marked}-{unix_s}-{counter:06}")
        for factor in (10**3, 10**6, 10**9):
            assert not holds_card_number(f"{marked}-{unix_s * factor + counter}")
    assert not holds_card_number(f"{marked}-0{counter:015}")


@given(st.text())
def test_any_text_can_be_checked(text):
    assert holds_card_number(text) in (True, False)


def test_the_longest_id_is_checked_quickly():
    assert not holds_card_number("1." * 100_000)
