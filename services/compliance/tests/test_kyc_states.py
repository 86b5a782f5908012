"""The state of identity checks: each act in each state, and what a verification is worth when."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compliance.domain.kyc import (
    Profile,
    Refusal,
    State,
    Validity,
    announce,
    conclude,
    decide,
    initiate,
    may_add_document,
    missing,
    verify,
)

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
LATER = NOW + timedelta(days=365)
VALIDITY = Validity(timedelta(days=730), timedelta(days=365))


def profile(state, **fields):
    return Profile("usr-1", 1, "BASIC", state, **fields)


def verified(**fields):
    held = {"verified_level": "BASIC", "verified_at": NOW, "verified_until": LATER}
    return profile(State.VERIFIED, **held | fields)


@pytest.mark.parametrize(
    ("state", "refusal"),
    [
        (State.CHECKING, Refusal.CHECKING),
        (State.REVIEW, Refusal.IN_REVIEW),
        (State.REJECTED, None),
    ],
)
def test_a_round_begins_unless_one_is_being_decided(state, refusal):
    found = initiate(profile(state), "usr-1", "ENHANCED")
    if refusal:
        assert found is refusal
    else:
        assert (found.round, found.level, found.state) == (2, "ENHANCED", State.INITIATED)


def test_the_first_round_can_be_stated_again():
    first = initiate(None, "usr-1", "BASIC")
    assert first == profile(State.INITIATED)
    assert initiate(first, "usr-1", "ENHANCED") == replace(first, level="ENHANCED")


@pytest.mark.parametrize(
    ("known", "refusal"),
    [
        (None, Refusal.NOT_BEGUN),
        (profile(State.INITIATED), None),
        (profile(State.CHECKING), Refusal.CHECKING),
        (profile(State.REVIEW), Refusal.IN_REVIEW),
        (verified(), Refusal.ENDED),
        (profile(State.REJECTED, rejected_at=NOW), Refusal.ENDED),
    ],
)
def test_documents_are_added_to_a_round_that_is_open(known, refusal):
    assert may_add_document(known) is refusal
    if refusal:
        assert verify(known, ["passport"]) is refusal


@pytest.mark.parametrize(
    ("level", "documents", "lacks"),
    [
        ("BASIC", ["passport"], 0),
        ("BASIC", ["utility_bill"], 1),
        ("BASIC", [], 1),
        ("ENHANCED", ["passport"], 1),
        ("ENHANCED", ["passport", "driving_licence"], 1),
        ("ENHANCED", ["residence_permit", "bank_statement"], 0),
    ],
)
def test_a_level_needs_its_documents(level, documents, lacks):
    assert len(missing(level, documents)) == lacks
    found = verify(replace(profile(State.INITIATED), level=level), documents)
    assert found is Refusal.DOCUMENTS_MISSING if lacks else found.state is State.CHECKING


def test_the_result_of_the_provider_ends_the_round():
    checking = profile(State.CHECKING)
    clear = conclude(checking, "clear", LATER, NOW)
    assert (clear.state, clear.verified_until, clear.status(NOW)) == (
        State.VERIFIED, LATER, "verified",
    )  # fmt: skip
    assert conclude(checking, "consider", LATER, NOW).state is State.REVIEW
    assert conclude(checking, "clear", NOW, NOW).state is State.REVIEW, "a document has expired"


@pytest.mark.parametrize("state", [one for one in State if one is not State.CHECKING])
def test_a_late_result_changes_nothing(state):
    known = profile(state)
    assert conclude(known, "clear", LATER, NOW) is known


def test_a_person_decides_in_review_alone():
    for known, refusal in (
        (None, Refusal.NOT_BEGUN),
        (profile(State.CHECKING), Refusal.NOT_IN_REVIEW),
        (verified(), Refusal.NOT_IN_REVIEW),
    ):
        assert decide(known, is_verified=True, until=LATER, now=NOW) is refusal
    review = replace(verified(), state=State.REVIEW)
    assert decide(review, is_verified=True, until=LATER, now=NOW).status(NOW) == "verified"
    rejected = decide(review, is_verified=False, until=LATER, now=NOW)
    assert (rejected.status(NOW), rejected.verified_until) == ("rejected", None)


def test_a_verification_holds_while_it_is_renewed_and_ends_at_its_time():
    renewed = initiate(verified(), "usr-1", "BASIC")
    for known in (verified(), renewed, verify(renewed, ["passport"])):
        assert known.status(LATER - timedelta(microseconds=1)) == "verified"
        assert known.status(LATER) == "expired"


def test_a_rejection_holds_until_a_later_round_verifies_the_person():
    again = initiate(profile(State.REJECTED, rejected_at=NOW), "usr-1", "BASIC")
    checking = verify(again, ["passport"])
    assert {again.status(LATER), checking.status(LATER)} == {"rejected"}
    assert conclude(checking, "clear", LATER, NOW).status(NOW) == "verified"


def test_a_change_is_announced_once():
    known, is_changed = announce(verified(), NOW)
    assert (is_changed, known.announced, known.version) == (True, "verified", 2)
    assert announce(known, NOW) == (replace(known, version=3), False)
    assert announce(known, LATER)[1]


@given(
    st.lists(st.dates(date(2026, 1, 1), date(2040, 1, 1))), st.sampled_from(["BASIC", "ENHANCED"])
)
def test_a_verification_never_outlives_the_level_or_a_document(days, level):
    until = VALIDITY.until(level, NOW, days)
    assert until <= NOW + (VALIDITY.basic if level == "BASIC" else VALIDITY.enhanced)
    for day in days:
        assert until <= datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
    assert until in {
        NOW + VALIDITY.basic,
        NOW + VALIDITY.enhanced,
        *(datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1) for day in days),
    }
