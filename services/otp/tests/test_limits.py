"""Limits of a user over all payments, at their boundaries, over batches and restarts."""

from collections import Counter
from datetime import timedelta
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otp.domain import HOUR, Issued, Limits, Lock, Refusal, State, User, refusal
from payment_schemas.events.otp import ChallengeRefused, CodesLockChanged, Verified
from payment_schemas.events.record import AuditRecorded
from payment_schemas.ids import payment_id_of
from testkit.events import NOON

LATER = NOON + timedelta(days=10)
LIMITS = Limits()
NEW = payment_id_of("usr-1", "tx-new")


def requests(build, numbers, **fields):
    """A request for a code for each payment number."""
    return [build.requested(f"tx-{one}", expires_at=LATER, **fields) for one in numbers]


async def guess(otp, build, numbers, right_at=()):
    """Try five codes on each challenge: wrong, or last the right one; return the results."""
    results = []
    for number in numbers:
        challenge = await otp.challenged(build.requested(f"tx-{number}", expires_at=LATER))
        wrong = build.wrong_code_of(challenge)
        codes = [*[wrong] * 4, build.code_of(challenge) if number in right_at else wrong]
        results += await otp.verdicts(*[tried(build, code, challenge) for code in codes])
        otp.clock.pass_time(hours=1)
    return results


def tried(build, code, challenge):
    return build.tried(code, challenge, expires_at=LATER)


def locks(otp):
    return [(one.is_locked, one.wrong_codes) for one in otp.published(CodesLockChanged)]


@pytest.mark.parametrize("batch", [1, 3, 10], ids="{} at once".format)
async def test_the_sixth_live_challenge_is_refused_until_the_first_one_ends(otp, build, batch):
    first = requests(build, range(5))
    for start in range(0, 5, batch):
        await otp.read(*first[start : start + batch])
        otp.start()
        otp.clock.pass_time(seconds=10)
    first_ends = min(one.code_expires_at for one in otp.challenges)
    await otp.read(*requests(build, [5]))
    assert len(otp.challenges) == 5
    wait = (first_ends - otp.clock.now()).total_seconds()
    assert otp.refusals == [("too_many", wait)]
    otp.clock.pass_time(seconds=wait - 1)
    await otp.read(build.requested("tx-5", version=4, expires_at=LATER))
    assert otp.refusals[1:] == [("too_many", 1)]
    otp.clock.pass_time(seconds=1)
    await otp.read(build.requested("tx-5", version=6, expires_at=LATER))
    assert [one.challenge_number for one in otp.challenges] == [1] * 6


async def test_six_requests_of_one_batch_get_five_challenges_and_a_refusal(otp, build):
    await otp.read(*requests(build, range(6)))
    assert (len(otp.challenges), otp.refusals) == (5, [("too_many", 300)])


async def test_challenges_of_another_user_do_not_count(otp, build):
    await otp.read(*requests(build, range(5)), *requests(build, range(5), user_id="usr-2"))
    assert (len(otp.challenges), otp.refusals) == (10, [])


async def test_used_and_locked_challenges_are_not_live(otp, build):
    await otp.read(*requests(build, range(5)))
    used, locked = otp.challenges[:2]
    await otp.read(tried(build, build.code_of(used), used))
    await otp.verdicts(*[tried(build, build.wrong_code_of(locked), locked) for _ in range(5)])
    await otp.read(*requests(build, [5, 6, 7]))
    assert (len(otp.challenges), len(otp.refusals)) == (7, 1)


async def test_a_new_challenge_of_a_payment_replaces_its_previous_one(otp, build):
    await otp.read(*requests(build, range(5)))
    await otp.read(build.requested("tx-0", number=2, version=6, expires_at=LATER))
    assert (len(otp.challenges), otp.refusals) == (6, [])


@pytest.mark.parametrize(
    ("spread_s", "most", "window_s"),
    [pytest.param(301, 10, 3600, id="an hour"), pytest.param(2400, 30, 86_400, id="a day")],
)
async def test_one_more_than_the_limit_of_a_window_is_refused(otp, build, spread_s, most, window_s):
    for request in requests(build, range(most)):
        await otp.read(request)
        otp.start()
        otp.clock.pass_time(seconds=spread_s)
    assert (len(otp.challenges), otp.refusals) == (most, [])
    await otp.read(*requests(build, [most]))
    wait = window_s - most * spread_s
    assert otp.refusals == [("too_many", wait)]
    otp.clock.pass_time(seconds=wait)
    await otp.read(build.requested(f"tx-{most}", version=4, expires_at=LATER))
    assert len(otp.challenges) == most + 1


async def test_a_repeated_request_gets_the_same_refusal(otp, build):
    await otp.read(*requests(build, range(6)))
    otp.clock.pass_time(hours=2)
    otp.database.tables.inbox.clear()
    await otp.read(*requests(build, range(6)))
    assert len(otp.challenges) == 5
    assert otp.refusals == [("too_many", 300)] * 2


async def test_a_refusal_has_the_version_and_number_of_its_request(otp, build):
    await otp.read(*requests(build, range(5)))
    await otp.read(build.requested("tx-9", version=4, number=2, expires_at=LATER))
    (refused,) = otp.published(ChallengeRefused)
    assert (refused.version, refused.challenge_number) == (4, 2)
    assert refused.payment_id == payment_id_of("usr-1", "tx-9")


async def test_the_hundred_and_first_wrong_code_in_a_row_is_not_judged(otp, build):
    results = await guess(otp, build, range(19))
    last = await otp.challenged(build.requested("tx-last", expires_at=LATER))
    other = await otp.challenged(build.requested("tx-other", expires_at=LATER))
    otp.start()
    wrong = [tried(build, build.wrong_code_of(last), last) for _ in range(5)]
    results += await otp.verdicts(*wrong[:4])
    assert (Counter(result for result, _ in results)["invalid"], locks(otp)) == (80, [])
    assert await otp.verdicts(wrong[4]) == [("locked", True)]
    assert locks(otp) == [(True, 100)]
    otp.start()
    codes = [build.wrong_code_of(other), build.code_of(other)]
    assert (
        await otp.verdicts(*[tried(build, code, other) for code in codes])
        == [("locked", False)] * 2
    )
    assert [one.codes_locked for one in otp.verified[-3:]] == [False, True, True]
    kept = otp.database.tables.own["challenge"][other.challenge_id]
    assert (kept.attempts, kept.state) == (0, State.LIVE)
    assert locks(otp) == [(True, 100)]


async def test_codes_that_arrive_together_lock_at_the_hundredth(otp, build):
    await guess(otp, build, range(19))
    challenges = [
        await otp.challenged(build.requested(f"tx-b{one}", expires_at=LATER)) for one in range(3)
    ]
    await otp.read(*[tried(build, build.wrong_code_of(one), one) for one in challenges * 3])
    assert [one.codes_locked for one in otp.verified[-9:]] == [False] * 5 + [True] * 4
    assert locks(otp) == [(True, 100)]


async def test_a_right_code_resets_the_count_of_wrong_codes(otp, build):
    await guess(otp, build, range(19), right_at=[18])
    await guess(otp, build, range(20, 39))
    assert locks(otp) == []
    assert otp.database.tables.own["code_user"]["usr-1"].wrong_in_a_row == 95


async def test_codes_on_an_expired_challenge_are_not_counted(otp, build):
    challenge = await otp.challenged(build.requested("tx-1", expires_at=LATER))
    otp.clock.pass_time(seconds=300)
    await otp.verdicts(*[tried(build, "000000", challenge) for _ in range(150)])
    assert otp.database.tables.own["code_user"]["usr-1"].wrong_in_a_row == 0


async def test_no_code_is_issued_to_a_locked_user(otp, build):
    await guess(otp, build, range(20))
    await otp.read(build.requested("tx-last", expires_at=LATER))
    assert otp.refusals == [("locked", None)]


async def test_a_challenge_that_is_over_stays_over_for_a_locked_user(otp, build):
    await guess(otp, build, range(20))
    dead = otp.challenges[-1]
    assert await otp.verdicts(tried(build, build.code_of(dead), dead)) == [("locked", True)]
    assert otp.published(Verified)[-1].codes_locked


async def test_an_unlock_is_published_for_the_audit_log_and_the_user(otp, build):
    await guess(otp, build, range(20))
    unlocked = await otp.unlock(actor="ann")
    assert unlocked.wrong_in_a_row == 100
    (record,) = otp.published(AuditRecorded)
    assert (record.actor, record.action, record.about) == ("ann", "CODES_UNLOCKED", "usr-1")
    assert locks(otp) == [(True, 100), (False, 100)]
    assert await otp.unlock() is None
    assert len(otp.published(AuditRecorded)) == 1
    challenge = await otp.challenged(build.requested("tx-last", expires_at=LATER))
    assert await otp.verdicts(tried(build, build.code_of(challenge), challenge)) == [
        ("valid", True)
    ]


async def test_a_user_who_is_not_locked_cannot_be_unlocked(otp):
    assert await otp.unlock("usr-unknown") is None
    assert otp.published(AuditRecorded) == []


async def test_a_user_without_a_contact_is_refused_and_a_later_request_works(otp, build):
    otp.contacts.unreachable = {"usr-1"}
    await otp.read(*requests(build, [1]))
    assert (otp.challenges, otp.refusals) == ([], [("undeliverable", None)])
    otp.contacts.unreachable = set()
    await otp.read(build.requested("tx-1", version=4, expires_at=LATER))
    assert [one.challenge_number for one in otp.challenges] == [1]


async def test_a_code_is_issued_where_the_contact_is_unknown(otp, build):
    otp.contacts.unknown = {"usr-1"}
    await otp.read(*requests(build, [1]))
    assert (len(otp.challenges), otp.refusals) == (1, [])


async def test_each_user_of_a_batch_is_queried_once(otp, build):
    await otp.read(*requests(build, range(3)), *requests(build, range(2), user_id="usr-2"))
    assert [sorted(query) for query in otp.contacts.queries] == [["usr-1", "usr-2"]]


async def test_an_expired_request_causes_no_query(otp, build):
    await otp.read(build.requested(expires_at=build.now))
    assert otp.contacts.queries == []


@pytest.mark.parametrize(
    ("user", "reachable", "reason"),
    [
        pytest.param(
            User("u", 100, Lock(NOON, NEW, "tx-1")), False, "locked", id="a lock before a contact"
        ),
        pytest.param(User("u"), False, "undeliverable", id="no contact"),
        pytest.param(User("u"), True, None, id="no limit is reached"),
    ],
)
def test_a_refusal_has_the_first_reason(user, reachable, reason):
    found = refusal(user, NEW, NOON, LIMITS, reachable=reachable)
    assert (found and found.reason) == reason


offsets = st.integers(-90_000, -1)


@given(st.lists(st.tuples(offsets, st.sampled_from(State)), max_size=40), st.integers(1, 600))
def test_the_time_to_wait_is_exact(made, life_s):
    numbers = count()
    user = User("u", issued=tuple(issued(next(numbers), *one, life_s) for one in made))
    found = refusal(user, NEW, NOON, LIMITS, reachable=True)
    if found is None:
        assert over_a_limit(user, NOON) is False
        return
    assert found == Refusal("too_many", found.retry_after_s)
    passes_at = NOON + timedelta(seconds=found.retry_after_s)
    assert refusal(user, NEW, passes_at, LIMITS, reachable=True) is None
    assert over_a_limit(user, passes_at - timedelta(seconds=1))


def issued(number, offset_s, state, life_s):
    at = NOON + timedelta(seconds=offset_s)
    payment_id = payment_id_of("usr-1", f"tx-{number}")
    return Issued(payment_id, 1, at, at + timedelta(seconds=life_s), state)


def over_a_limit(user, now):
    """Return whether a limit is reached, by a plain count."""
    live = sum(one.state is State.LIVE and one.expires_at > now for one in user.issued)
    hour = sum(one.issued_at + HOUR > now for one in user.issued)
    day = sum(one.issued_at + 24 * HOUR > now for one in user.issued)
    return live >= 5 or hour >= 10 or day >= 30


def test_a_challenge_with_a_later_one_is_not_live():
    ends = NOON + HOUR
    same = [Issued(NEW, number, NOON - 2 * HOUR, ends) for number in (1, 2, 3)]
    others = [issued(one, -7200, State.LIVE, 9000) for one in range(4)]
    user = User("u", issued=(*same, *others))
    assert refusal(user, payment_id_of("u", "x"), NOON, LIMITS, reachable=True) is not None
    assert refusal(user, NEW, NOON, LIMITS, reachable=True) is None
