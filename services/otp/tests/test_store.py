"""The same tests for the memory twin and for PostgreSQL."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import psycopg
import pytest

from otp.domain import CodeAttempt, Issued, Lock, Refusal, RequestKey, State, User, Verdict
from otp.store import Verification, queries
from service_runtime.admin import counts_of

INVALID = Verdict("invalid", challenge_over=False, counted=True)
VALID = Verdict("valid", challenge_over=True, counted=True)
EXPIRED = Verdict("expired", challenge_over=True, counted=False)


async def add(backend, *challenges):
    async with backend.database.transaction() as tx:
        return await backend.store(tx).add(challenges)


async def lock(backend, *challenges):
    async with backend.database.transaction() as tx:
        return await backend.store(tx).lock({one.id for one in challenges})


async def save(backend, *challenges):
    async with backend.database.transaction() as tx:
        await backend.store(tx).save(challenges)


async def verify(backend, build, challenge, verdict, request_id=None):
    question = CodeAttempt(request_id or uuid4(), challenge.id, challenge.payment.payment_id)
    async with backend.database.transaction() as tx:
        await backend.store(tx).add_verifications([Verification(question, verdict, build.now)])
    return question


async def verdicts(backend, *questions):
    async with backend.database.transaction() as tx:
        return await backend.store(tx).verdicts(questions)


async def check(backend, now):
    async with backend.database.transaction() as tx:
        found = await queries.check(tx, now)
        return found._asdict() | await counts_of(tx, None)


async def test_a_stored_challenge_is_read_back_unchanged(backend, build):
    challenge = build.challenge()
    assert await add(backend, challenge) == {challenge.id}
    assert await lock(backend, challenge) == {challenge.id: challenge}


@pytest.mark.stack
async def test_challenges_are_exported_by_payment_and_page_by_page(real, build):
    first, second = build.challenge(number=1), build.challenge(number=2)
    other = build.challenge("tx-2")
    await add(real, first, second, other)
    await save(real, replace(first, attempts=5, state=State.LOCKED))
    locked = {"state": "LOCKED", "attempts": 5}
    live = {"state": "LIVE", "attempts": 0, "amount_minor": 520_000, "currency": "USD",
            "payee": "payee-xyz"}  # fmt: skip
    expected = {
        first.payment.payment_id: [live | locked, live],
        other.payment.payment_id: [live],
    }
    after, seen = UUID(int=0), {}
    async with real.database.transaction() as tx:
        while page := await queries.export(tx, after, 1):
            (row,) = page
            after = row["payment_id"]
            seen[after] = row["challenges"]
    assert list(seen) == sorted(expected)
    assert seen == expected


@pytest.mark.stack
async def test_an_operator_sees_a_payments_challenges_without_their_secrets(real, build):
    first = replace(build.challenge(number=1), attempts=5, state=State.LOCKED)
    second, other = build.challenge(number=2), build.challenge("tx-2")
    await add(real, second, other, build.challenge(number=1))
    await save(real, first)
    async with real.database.transaction() as tx:
        found = await queries.of_payment(tx, first.payment.payment_id)
    assert [dict(one) for one in found] == [
        {
            "challenge_id": one.id,
            "number": one.number,
            "state": one.state,
            "attempts": one.attempts,
            "expires_at": one.expires_at,
        }
        for one in (first, second)
    ]


async def test_a_challenge_is_stored_once_and_keeps_its_first_code(backend, build):
    first = build.challenge()
    other = replace(first, secret=replace(first.secret, digest="e" * 64))
    await add(backend, first)
    assert await add(backend, other) == set()
    assert (await lock(backend, first))[first.id] == first


async def test_a_later_challenge_ends_the_earlier_ones_of_its_payment_only(backend, build):
    first, second = build.challenge(number=1), build.challenge(number=2)
    other = build.challenge("tx-2")
    await add(backend, first, other)
    assert await add(backend, second) == {second.id}
    found = await lock(backend, first, second, other)
    assert {name for name, one in found.items() if one.superseded} == {first.id}


async def test_only_the_latest_of_several_new_challenges_is_returned(backend, build):
    challenges = [build.challenge(number=number) for number in (1, 2, 3)]
    assert await add(backend, *challenges) == {challenges[2].id}


async def test_a_challenge_added_after_its_successor_is_stored_but_not_returned(backend, build):
    first, second = build.challenge(number=1), build.challenge(number=2)
    await add(backend, second)
    assert await add(backend, first) == set()
    assert (await lock(backend, first))[first.id].superseded


async def test_unknown_challenges_and_attempts_are_not_found(backend, build):
    assert await lock(backend, build.challenge()) == {}
    assert await lock(backend) == {}
    assert await verdicts(backend) == {}


@pytest.mark.parametrize(
    ("attempts", "state"), [(1, State.LIVE), (2, State.ACCEPTED), (5, State.LOCKED)]
)
async def test_attempts_and_state_are_saved(backend, build, attempts, state):
    challenge = build.challenge()
    await add(backend, challenge)
    after = replace(challenge, attempts=attempts, state=state)
    await save(backend, after)
    assert await lock(backend, challenge) == {challenge.id: after}


async def test_the_first_verdict_of_an_attempt_is_kept(backend, build):
    challenge, request_id = build.challenge(), UUID(int=7)
    question = await verify(backend, build, challenge, INVALID, request_id)
    await verify(backend, build, challenge, VALID, request_id)
    assert await verdicts(backend, question) == {question: INVALID}


async def test_the_same_request_on_another_challenge_is_another_attempt(backend, build):
    question = await verify(backend, build, build.challenge(), INVALID, UUID(int=7))
    other = replace(question, challenge_id=build.challenge(number=2).id)
    assert await verdicts(backend, question, other) == {question: INVALID}


async def users(backend, *names):
    async with backend.database.transaction() as tx:
        return await backend.store(tx).lock_users(set(names))


async def save_users(backend, *changed):
    async with backend.database.transaction() as tx:
        await backend.store(tx).save_users(changed)


async def issued(backend, since, most=30, user="usr-1"):
    async with backend.database.transaction() as tx:
        found = await backend.store(tx).with_issued({user: User(user)}, since, most)
        return found[user].issued


async def answered(backend, *keys):
    async with backend.database.transaction() as tx:
        return await backend.store(tx).answered(keys)


async def refuse(backend, refusals):
    async with backend.database.transaction() as tx:
        await backend.store(tx).refuse(refusals)


async def test_locking_an_unknown_user_inserts_it(backend):
    assert await users(backend, "usr-1", "usr-2") == {
        "usr-1": User("usr-1"),
        "usr-2": User("usr-2"),
    }
    assert await users(backend) == {}


async def test_wrong_codes_and_a_lock_are_stored_for_each_user(backend, build):
    payment_id = build.payment().payment_id
    locked = User("usr-1", 100, Lock(build.now, payment_id, "tx-1"))
    await users(backend, "usr-1", "usr-2")
    await save_users(backend, locked, User("usr-2", 7))
    assert await users(backend, "usr-1", "usr-2") == {"usr-1": locked, "usr-2": User("usr-2", 7)}
    await save_users(backend, User("usr-1"))
    async with backend.database.transaction() as tx:
        assert await backend.store(tx).find_user("usr-1") == User("usr-1")
        assert await backend.store(tx).find_user("usr-9") is None


async def test_a_users_latest_challenges_are_found_over_all_payments(backend, build):
    made = [
        build.challenge(f"tx-{minute}", issued_at=build.now + timedelta(minutes=minute))
        for minute in range(4)
    ]
    await add(backend, *made, build.challenge("tx-o", user_id="usr-2"))
    found = await issued(backend, build.now, 2)
    assert [one.issued_at for one in found] == [made[2].issued_at, made[3].issued_at]
    assert len(await issued(backend, build.now)) == 3
    assert found[1] == Issued(
        made[3].payment.payment_id, 1, made[3].issued_at, made[3].expires_at, State.LIVE
    )


async def test_the_first_result_of_a_request_is_kept(backend, build):
    payment_id = build.payment().payment_id
    first, second = RequestKey(payment_id, 2, 1), RequestKey(payment_id, 4, 1)
    assert await answered(backend, first, second) == {}
    await refuse(backend, {first: Refusal("too_many", 60)})
    await refuse(backend, {first: Refusal("locked")})
    assert await answered(backend, first, second) == {first: Refusal("too_many", 60)}
    await add(backend, build.challenge())
    assert await answered(backend, first, second) == {
        first: Refusal("too_many", 60),
        second: None,
    }


async def test_a_verdict_of_locked_codes_is_stored(backend, build):
    locked = Verdict("locked", challenge_over=False, counted=False, codes_locked=True)
    question = await verify(backend, build, build.challenge(), locked)
    assert await verdicts(backend, question) == {question: locked}


@pytest.mark.stack
async def test_a_check_of_consistent_challenges_finds_nothing(real, build):
    challenge = build.challenge()
    await add(real, challenge)
    await save(real, replace(challenge, attempts=2, state=State.ACCEPTED))
    for verdict in (INVALID, VALID, EXPIRED):
        await verify(real, build, challenge, verdict)
    found = await check(real, build.now)
    assert found == {"violations": [], "unfinished": [], "parked": 0, "dead_letters": 0}


@pytest.mark.parametrize(
    ("attempts", "state", "verdict"),
    [
        pytest.param(2, State.LIVE, INVALID, id="an attempt without a verification"),
        pytest.param(1, State.LIVE, VALID, id="accepted and still live"),
        pytest.param(1, State.ACCEPTED, INVALID, id="accepted without a right code"),
    ],
)
@pytest.mark.stack
async def test_a_check_finds_challenges_that_do_not_fit_their_verdicts(
    real, build, attempts, state, verdict
):
    challenge = build.challenge()
    await add(real, challenge)
    await save(real, replace(challenge, attempts=attempts, state=state))
    await verify(real, build, challenge, verdict)
    (violation,) = (await check(real, build.now))["violations"]
    assert violation["invariant"] == "I10"
    assert violation["payment_id"] == challenge.payment.payment_id
    assert f"{attempts} attempts and {state}" in violation["details"]


@pytest.mark.stack
async def test_a_check_skips_old_challenges(real, build):
    challenge = build.challenge()
    await add(real, challenge)
    await save(real, replace(challenge, attempts=1))
    assert (await check(real, build.now + timedelta(days=2)))["violations"] == []


@pytest.mark.stack
async def test_a_check_returns_at_most_a_hundred_findings(real, build):
    challenges = [build.challenge(f"tx-{number}") for number in range(120)]
    await add(real, *challenges)
    await save(real, *(replace(one, attempts=1) for one in challenges))
    assert len((await check(real, build.now))["violations"]) == 100


@pytest.mark.stack
@pytest.mark.parametrize(
    "change",
    [
        pytest.param("update challenge set attempts = 6", id="a sixth attempt"),
        pytest.param("update challenge set attempts = 5", id="live after five attempts"),
        pytest.param("update challenge set state = 'ACCEPTED'", id="accepted without an attempt"),
        pytest.param("update challenge set number = 4", id="a fourth challenge"),
        pytest.param("update challenge set digest = '789012'", id="a code in place of its hash"),
    ],
)
async def test_the_database_refuses_illegal_challenges(real, as_owner, build, change):
    await add(real, build.challenge())
    with pytest.raises(psycopg.errors.CheckViolation):
        as_owner.execute(change)


@pytest.mark.stack
@pytest.mark.parametrize(
    "change",
    [
        pytest.param("set wrong_in_a_row = 101", id="a hundred and first wrong code"),
        pytest.param("set wrong_in_a_row = 100", id="a hundred wrong codes and no lock"),
        pytest.param("set locked_at = now()", id="locked on no payment"),
    ],
)
async def test_the_database_refuses_illegal_users(real, as_owner, change):
    await users(real, "usr-1")
    with pytest.raises(psycopg.errors.CheckViolation):
        as_owner.execute("update code_user " + change)


@pytest.mark.stack
async def test_the_database_refuses_a_second_acceptance(real, build):
    await verify(real, build, build.challenge(), VALID)
    with pytest.raises(psycopg.errors.UniqueViolation):
        await verify(real, build, build.challenge(), VALID)


@pytest.mark.stack
@pytest.mark.parametrize(
    "statement",
    [
        "update challenge set amount_minor = 1",
        "update challenge set digest = repeat('0', 64)",
        "update verification set result = 'valid'",
        "delete from verification",
        "delete from code_user",
        "update challenge_refusal set retry_after_s = 1",
        "update challenge set issued_at = now()",
        "delete from challenge",
    ],
)
async def test_the_service_role_cannot_change_history(real, build, statement):
    await add(real, build.challenge())
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with real.database.transaction() as tx:
            await tx.rows(statement)
