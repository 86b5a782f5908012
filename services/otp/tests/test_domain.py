"""Verdicts on codes."""

from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otp.domain import State, Try, judge

ATTEMPTS = 5


def try_of(build, *, matches=True, transaction_id="tx-1", after_s=0.0):
    payment_id = build.payment(transaction_id).payment_id
    return Try(payment_id, matches, build.now + timedelta(seconds=after_s))


@pytest.mark.parametrize(
    ("before", "matches", "result", "after"),
    [
        pytest.param(0, True, "valid", State.ACCEPTED, id="the right code is accepted"),
        pytest.param(4, True, "valid", State.ACCEPTED, id="on the fifth attempt too"),
        pytest.param(0, False, "invalid", State.LIVE, id="a wrong code costs an attempt"),
        pytest.param(3, False, "invalid", State.LIVE, id="the fourth leaves one more"),
        pytest.param(4, False, "locked", State.LOCKED, id="the fifth locks"),
    ],
)
def test_a_live_challenge_counts_every_code(build, before, matches, result, after):
    challenge = build.challenge(attempts=before)
    judged = judge(challenge, try_of(build, matches=matches), ATTEMPTS)
    assert (judged.verdict.result, judged.verdict.counted) == (result, True)
    assert judged.verdict.challenge_over == (result != "invalid")
    assert (judged.challenge.attempts, judged.challenge.state) == (before + 1, after)


@pytest.mark.parametrize("matches", [True, False])
@pytest.mark.parametrize(
    ("fields", "result"),
    [
        pytest.param({"state": State.ACCEPTED, "attempts": 1}, "expired", id="used"),
        pytest.param({"state": State.LOCKED, "attempts": 5}, "locked", id="locked"),
        pytest.param({"superseded": True}, "expired", id="superseded"),
        pytest.param(
            {"superseded": True, "state": State.LOCKED, "attempts": 5}, "expired", id="both"
        ),
    ],
)
def test_a_challenge_that_is_over_accepts_and_counts_no_code(build, fields, result, matches):
    challenge = build.challenge(**fields)
    judged = judge(challenge, try_of(build, matches=matches), ATTEMPTS)
    assert judged.challenge is challenge
    assert judged.verdict.result == result
    assert (judged.verdict.challenge_over, judged.verdict.counted) == (True, False)


def test_an_unknown_challenge_is_expired(build):
    judged = judge(None, try_of(build), ATTEMPTS)
    assert (judged.challenge, judged.verdict.result) == (None, "expired")
    assert judged.verdict.challenge_over


def test_the_right_code_for_another_payment_is_expired_and_costs_nothing(build):
    challenge = build.challenge("tx-1")
    judged = judge(challenge, try_of(build, transaction_id="tx-2"), ATTEMPTS)
    assert judged.challenge is challenge
    assert judged.verdict.result == "expired"


@pytest.mark.parametrize(
    ("after_s", "result"), [(299.999, "valid"), (300, "expired"), (301, "expired")]
)
def test_a_code_lives_for_300_seconds(build, after_s, result):
    judged = judge(build.challenge(), try_of(build, after_s=after_s), ATTEMPTS)
    assert judged.verdict.result == result
    assert judged.verdict.counted is (result == "valid")


def test_a_challenge_has_the_same_id_for_every_request(build):
    assert build.challenge(number=1).id == build.challenge(number=1).id
    ids = {build.challenge(name, number).id for name in ("a", "b") for number in (1, 2, 3)}
    assert len(ids) == 6
    assert all(isinstance(one, UUID) for one in ids)


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 400)), max_size=40))
def test_of_any_codes_at_most_five_count_and_one_is_accepted(build, tries):
    challenge, verdicts = build.challenge(), []
    for matches, after_s in tries:
        judged = judge(challenge, try_of(build, matches=matches, after_s=after_s), ATTEMPTS)
        challenge = judged.challenge
        verdicts.append(judged.verdict)
    counted = [verdict for verdict in verdicts if verdict.counted]
    assert len(counted) == challenge.attempts <= ATTEMPTS
    assert [verdict.result for verdict in verdicts].count("valid") <= 1
    assert all(verdict.result == "invalid" for verdict in counted[:-1])
    assert (challenge.state is State.ACCEPTED) == any(one.result == "valid" for one in verdicts)


@given(st.integers(0, 4), st.booleans(), st.floats(0, 400))
def test_only_a_wrong_code_leaves_a_challenge_open(build, attempts, matches, after_s):
    challenge = build.challenge(attempts=attempts)
    verdict = judge(challenge, try_of(build, matches=matches, after_s=after_s), ATTEMPTS).verdict
    assert verdict.challenge_over == (verdict.result != "invalid")
