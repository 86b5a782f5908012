"""A listing goes on where its cursor says, and a cursor that was made up is refused."""

from uuid import UUID

import pytest
from fastapi import HTTPException
from hypothesis import given
from hypothesis import strategies as st

from service_runtime.paging import Keyset

BY_ID = Keyset(["id"], [UUID(int=0)], most=2)
BY_NAME = Keyset(["country", "number"], ["", 0], most=2)


def test_a_listing_without_a_cursor_begins_before_all_rows():
    page = BY_NAME(None, None)
    assert (page.after, page.limit) == (("", 0), 2)


@given(
    country=st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=80),
    number=st.integers(-(2**62), 2**62),
)
def test_a_cursor_leads_behind_the_row_that_it_was_made_of(country, number):
    row = {"country": country, "number": number, "more": 1}
    assert BY_NAME(BY_NAME.cursor_of(row), 1).after == (country, number)


def test_the_last_page_has_no_next():
    page = BY_ID(None, 2)
    rows = [{"id": UUID(int=1)}, {"id": UUID(int=2)}]
    assert page.reply("rows", rows)["next"] == str(UUID(int=2))
    assert page.reply("rows", rows[:1])["next"] is None
    assert page.reply("rows", []) == {"rows": [], "next": None}


@pytest.mark.parametrize(
    ("keyset", "after"),
    [
        (BY_ID, "7"),
        (BY_ID, "\0"),
        (BY_NAME, "DE"),
        (BY_NAME, "WyJERSJd"),  # one value of two
        (BY_NAME, "eyJhIjoxfQ=="),  # an object
        (BY_NAME, "WyJcdTAwMDAiLDFd"),  # a NUL
        (BY_NAME, "WzEsMl0="),  # a number for a text
        (BY_NAME, "é"),
    ],
)
def test_a_cursor_that_was_made_up_is_refused(keyset, after):
    with pytest.raises(HTTPException) as refused:
        keyset(after, None)
    assert refused.value.detail["error"] == "Invalid field: after"


def test_a_limit_over_the_listings_own_is_refused():
    with pytest.raises(HTTPException) as refused:
        BY_ID(None, 3)
    assert refused.value.status_code == 400
