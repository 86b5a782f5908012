"""Opening accounts, and the contacts of their owners."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.clients.openings import SLICE, OpeningRequest, balance_of, contact_of
from ops.domain.errors import UnavailableError


@given(st.integers(1, 5000))
def test_slices_cover_every_number_once(count):
    order = OpeningRequest("load", "usr", 100, "USD", count)
    owners = [owner for first, size in order.slices() for owner in order.owners(first, size)]
    assert owners == [f"usr-{number:04}" for number in range(1, count + 1)]
    assert all(size is not None and size <= SLICE for _, size in order.slices())


def test_without_a_count_the_names_have_no_number():
    order = OpeningRequest("acc-9", "usr-9", 100, "USD")
    assert [(first, order.owners(first, size)) for first, size in order.slices()] == [
        (1, ["usr-9"])
    ]


@pytest.mark.parametrize(
    ("text", "currency", "expected"),
    [("100000.00", "USD", 10_000_000), ("0", "USD", 0), ("5", "JPY", 5), ("1.234", "KWD", 1234)],
)
def test_a_balance_is_in_minor_units(text, currency, expected):
    assert balance_of(text, currency) == expected


@pytest.mark.parametrize(
    ("text", "currency", "named"),
    [
        ("-1", "USD", "--balance"),
        ("1.001", "USD", "--balance"),
        ("1.5", "JPY", "--balance"),
        ("much", "USD", "--balance"),
        ("NaN", "USD", "--balance"),
        ("1" * 13, "USD", "--balance"),
        ("0000000000001", "USD", "--balance"),
        ("1.000", "USD", "--balance"),
        ("1.0", "JPY", "--balance"),
        ("1_000", "USD", "--balance"),
        ("1e3", "USD", "--balance"),
        ("٣", "USD", "--balance"),
        ("1", "XXL", "--currency"),
    ],
)
def test_a_wrong_balance_is_refused_with_its_option(text, currency, named):
    with pytest.raises(UnavailableError, match=named):
        balance_of(text, currency)


@given(st.text(min_size=1))
def test_a_contact_is_valid_and_stable(user):
    contact = contact_of(user)
    assert contact == contact_of(user)
    assert re.fullmatch(r"\+1555\d{7}", contact["phone"])
