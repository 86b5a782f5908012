"""The handlers in the real consumer loop, on the memory twins."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from otp.handlers import Codes
from payment_schemas.events.otp import Challenged, Verified
from service_runtime.clock import SystemClock
from service_runtime.keys import KeyRing


async def test_a_challenge_event_has_all_fields_and_a_sealed_code(otp, build):
    request = build.requested()
    challenge = await otp.challenged(request)
    assert challenge.payment_id == request.payment_id
    assert (challenge.challenge_number, challenge.amount_minor) == (1, 520_000)
    assert (challenge.currency, challenge.to_account) == ("USD", "payee-xyz")
    assert challenge.code_expires_at == build.now + timedelta(seconds=300)
    code = build.code_of(challenge)
    assert len(code) == 6
    assert code.isdigit()


async def test_the_code_is_in_no_topic_table_or_log(otp, build, caplog):
    challenge = await otp.challenged(build.requested())
    code = build.code_of(challenge)
    await otp.verdicts(build.tried(code, challenge))
    values = [
        one.value for topic in (Challenged, Verified) for one in otp.broker.topics[topic.topic]
    ]
    tables = repr(otp.database.tables.own)
    assert not any(code.encode() in value for value in values)
    assert code not in tables
    assert code not in caplog.text


async def test_the_right_code_is_accepted_once(otp, build):
    challenge = await otp.challenged(build.requested())
    code = build.code_of(challenge)
    assert await otp.verdicts(build.tried(code, challenge)) == [("valid", True)]
    assert await otp.verdicts(build.tried(code, challenge)) == [("expired", True)]


async def test_a_verdict_names_its_request_and_challenge(otp, build):
    challenge = await otp.challenged(build.requested())
    tried = build.tried("000000", challenge)
    await otp.read(tried)
    (verified,) = otp.verified
    assert (verified.request_id, verified.challenge_id) == (
        tried.request_id,
        challenge.challenge_id,
    )
    assert (verified.payment_id, verified.transaction_id) == (challenge.payment_id, "tx-1")


async def test_after_the_fifth_wrong_code_the_right_one_is_locked_out(otp, build):
    challenge = await otp.challenged(build.requested())
    wrong = build.wrong_code_of(challenge)
    for _ in range(4):
        assert await otp.verdicts(build.tried(wrong, challenge)) == [("invalid", False)]
    assert await otp.verdicts(build.tried(wrong, challenge)) == [("locked", True)]
    assert await otp.verdicts(build.tried(build.code_of(challenge), challenge)) == [
        ("locked", True)
    ]


async def test_the_log_of_a_wrong_code_has_the_payment_but_not_the_code(otp, build, caplog):
    caplog.set_level("INFO", "countersign.codes")
    challenge = await otp.challenged(build.requested())
    await otp.verdicts(build.tried(build.wrong_code_of(challenge), challenge))
    await otp.verdicts(build.tried(build.code_of(challenge), challenge))
    assert [(line.message, line.fields) for line in caplog.records] == [
        (
            "code_refused",
            {"payment_id": challenge.payment_id, "status": "invalid", "attempts": 1},
        )
    ]


async def test_fifty_wrong_codes_at_once_count_one_by_one(otp, build):
    challenge = await otp.challenged(build.requested())
    wrong = [build.tried(build.wrong_code_of(challenge), challenge) for _ in range(50)]
    results = Counter(result for result, _ in await otp.verdicts(*wrong))
    assert results == {"invalid": 4, "locked": 46}


async def test_of_fifty_right_codes_at_once_one_is_accepted(otp, build):
    challenge = await otp.challenged(build.requested())
    right = [build.tried(build.code_of(challenge), challenge) for _ in range(50)]
    results = Counter(result for result, _ in await otp.verdicts(*right))
    assert results == {"valid": 1, "expired": 49}


async def test_the_right_code_is_accepted_at_the_fifth_attempt_of_a_batch(otp, build):
    challenge = await otp.challenged(build.requested())
    wrong = [build.tried(build.wrong_code_of(challenge), challenge) for _ in range(4)]
    right = build.tried(build.code_of(challenge), challenge)
    assert (await otp.verdicts(*wrong, right))[-1] == ("valid", True)


async def test_the_same_request_has_the_same_verdict_and_counts_once(otp, build):
    challenge = await otp.challenged(build.requested())
    wrong = build.tried(build.wrong_code_of(challenge), challenge)
    assert await otp.verdicts(*[wrong] * 10) == [("invalid", False)] * 10
    otp.database.tables.inbox.clear()
    assert await otp.verdicts(*[wrong] * 10) == [("invalid", False)] * 10
    right = build.tried(build.code_of(challenge), challenge)
    assert await otp.verdicts(right, right) == [("valid", True)] * 2
    assert await otp.verdicts(wrong) == [("invalid", False)]


async def test_a_request_for_a_code_that_is_read_twice_is_dropped_by_its_id(otp, build):
    await otp.read(build.requested(), build.requested(), ids=(UUID(int=1),) * 2)
    await otp.read(build.requested(), ids=(UUID(int=1),))
    assert len(otp.challenges) == 1
    assert otp.database.tables.inbox == {("otp", "otp.challenge-requested.v1", UUID(int=1))}


async def test_a_code_that_is_read_twice_gets_its_verdict_again_and_counts_once(otp, build):
    """Confirm may wait for the verdict again, where its own request was read twice."""
    challenge = await otp.challenged(build.requested())
    tried = build.tried("000000", challenge)
    await otp.read(tried, ids=(UUID(int=1),))
    await otp.read(tried, ids=(UUID(int=1),))
    assert [one.result for one in otp.verified] == ["invalid", "invalid"]
    assert otp.database.tables.own["challenge"][challenge.challenge_id].attempts == 1


async def test_a_challenge_requested_twice_is_issued_once_even_without_an_inbox(otp, build):
    challenge = await otp.challenged(build.requested())
    otp.database.tables.inbox.clear()
    await otp.read(build.requested(), build.requested())
    assert otp.challenges == [challenge]
    assert await otp.verdicts(build.tried(build.code_of(challenge), challenge)) == [("valid", True)]


async def test_a_new_challenge_ends_the_previous_one(otp, build):
    first = await otp.challenged(build.requested(number=1))
    second = await otp.challenged(build.requested(number=2))
    assert await otp.verdicts(build.tried(build.code_of(first), first)) == [("expired", True)]
    assert await otp.verdicts(build.tried(build.code_of(second), second)) == [("valid", True)]


async def test_the_code_of_one_payment_is_expired_for_another(otp, build):
    one = await otp.challenged(build.requested("tx-1"))
    other = await otp.challenged(build.requested("tx-2"))
    stolen = build.tried(build.code_of(one), one, payment_id=other.payment_id)
    assert await otp.verdicts(stolen) == [("expired", True)]
    assert await otp.verdicts(build.tried(build.code_of(one), one)) == [("valid", True)]


async def test_an_unknown_challenge_is_expired(otp, build):
    challenge = await otp.challenged(build.requested())
    unknown = build.tried(build.code_of(challenge), challenge, challenge_id=UUID(int=5))
    assert await otp.verdicts(unknown) == [("expired", True)]


@pytest.mark.parametrize(("passed_s", "result"), [(299, "valid"), (300, "expired")])
async def test_a_code_lives_for_300_seconds(otp, build, passed_s, result):
    challenge = await otp.challenged(build.requested())
    otp.clock.pass_time(seconds=passed_s)
    assert await otp.verdicts(build.tried(build.code_of(challenge), challenge)) == [(result, True)]


async def test_expired_requests_are_dropped(otp, build):
    await otp.read(build.requested(expires_at=build.now))
    assert otp.challenges == []
    challenge = await otp.challenged(build.requested())
    tried = build.tried(build.code_of(challenge), challenge, expires_at=build.now)
    assert await otp.verdicts(tried) == []
    assert otp.database.tables.own["verification"] == {}


@pytest.mark.parametrize(
    "change",
    [{"amount_minor": 1}, {"currency": "EUR"}, {"payee": "mallory"}, {"user_id": "usr-2"}],
    ids=lambda change: next(iter(change)),
)
async def test_a_code_is_valid_only_for_its_amount_payee_and_user(otp, build, change):
    challenge = await otp.challenged(build.requested())
    table = otp.database.tables.own["challenge"]
    kept = table[challenge.challenge_id]
    table[challenge.challenge_id] = replace(kept, payment=replace(kept.payment, **change))
    right = build.tried(build.code_of(challenge), challenge)
    assert await otp.verdicts(right) == [("invalid", False)]


async def test_a_code_sealed_for_another_payment_is_the_only_dead_letter(otp, build):
    challenge = await otp.challenged(build.requested())
    moved = build.gateway.seal(build.code_of(challenge), UUID(int=1)).reveal()
    bad = build.tried("", challenge, sealed_code=moved)
    good = build.tried(build.code_of(challenge), challenge)
    assert await otp.verdicts(bad, good) == [("valid", True)]
    (letter,) = otp.database.tables.dead_letters.values()
    assert letter.reason == "rejected"


def test_a_code_that_is_not_six_digits_is_wrong(build):
    codes = Codes(build.code_keys, SystemClock())
    challenge = replace(build.challenge(), secret=codes.hashed(build.payment(), "123456"))
    assert codes.matches(challenge, "123456")
    assert not any(
        codes.matches(challenge, code) for code in ("", "12345", "\u0661" * 6, "1234567")
    )


def test_a_code_is_accepted_until_its_key_is_removed(build):
    old, new = b"c" * 32, b"d" * 32
    hashed = Codes(KeyRing(old), SystemClock()).hashed(build.payment(), "123456")
    challenge = replace(build.challenge(), secret=hashed)

    assert Codes(KeyRing(new, old), SystemClock()).matches(challenge, "123456")
    assert not Codes(KeyRing(new), SystemClock()).matches(challenge, "123456")


def test_equal_codes_have_different_hashes(build):
    codes = Codes(build.code_keys, SystemClock())
    digests = {codes.hashed(build.payment(), "123456").digest for _ in range(20)}
    assert len(digests) == 20


def test_generated_codes_use_all_digits(build):
    codes = [Codes(build.code_keys, SystemClock()).new() for _ in range(2000)]
    assert all(len(code) == 6 and code.isdigit() for code in codes)
    assert len(set(codes)) > 1950
    assert {code[0] for code in codes} == set("0123456789")
