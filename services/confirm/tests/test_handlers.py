"""Batches of requests and results, on both stores."""

from datetime import timedelta
from uuid import UUID

import pytest
from confirm_builders import (
    CODES_LOCKED,
    INVALID_OTP,
    LATER_REQUEST,
    TOO_MANY,
    UNDELIVERABLE,
    assessed,
    challenged,
    declined,
    first_request,
    payment_in,
    refused,
    reviewed,
    settled,
    verified,
)
from confirm_world import answers

from confirm.domain.payment import Policy, Status
from service_runtime.errors import Rejected


def request(number=1, transaction="tx-1", key="key-1", code=None, **fields):
    """A request of one HTTP call; by default with the same transaction and key."""
    made = {"transaction_id": transaction, "idempotency_key": key, "code_tag": code, **fields}
    return first_request(request_id=f"00000000-0000-4000-8000-{number:012}", **made)


@pytest.fixture
async def funded(world):
    await world.open_account("acc-1", "usr-456", 1_000_000)
    await world.open_account("acc-2", "usr-457", 1_000_000)
    return world


def statuses(events):
    return [answer.status for answer in answers(events)]


async def only(world):
    (payment,) = await world.payments()
    return payment


async def test_a_first_request_is_stored_and_requests_an_assessment(funded):
    (event,) = await funded.take(request())

    payment = await only(funded)
    assert type(event).__name__ == "AssessmentRequested"
    assert (event.payment_id, event.version) == (payment.id, 1)
    assert payment.status is Status.AWAITING_RISK


async def test_duplicates_in_one_batch_make_one_payment(funded):
    events = await funded.take(request(1), request(2), request(3))

    assert statuses(events) == [409, 409]
    assert {answer.request_id.int & 0xF for answer in answers(events)} == {2, 3}
    assert len(await funded.payments()) == 1


async def test_one_key_for_two_transactions_makes_one_payment(funded):
    events = await funded.take(request(1, "tx-1"), request(2, "tx-2"))

    assert statuses(events) == [422]
    assert (await only(funded)).transaction_id == "tx-1"


async def test_one_transaction_under_two_keys_makes_one_payment(funded):
    events = await funded.take(request(1, key="key-1"), request(2, key="key-2"))

    (answer,) = answers(events)
    assert (answer.status, answer.body) == (409, '{"status":"PENDING","transaction_id":"tx-1"}')
    assert (await only(funded)).idempotency_key == "key-1"


async def test_two_users_may_use_the_same_transaction_and_key(funded):
    await funded.take(request(1), request(2, user_id="usr-457", from_account="acc-2"))

    assert len(await funded.payments()) == 2


@pytest.mark.parametrize(
    ("fields", "status"),
    [({"from_account": "acc-2"}, 404), ({"from_account": "acc-9"}, 404), ({"amount": None}, 400)],
)
@pytest.mark.parametrize("together", [True, False])
async def test_a_refusal_leaves_key_and_transaction_unused(funded, fields, status, together):
    refused, corrected = request(1, **fields), request(2)

    if together:
        events = await funded.take(refused, corrected)
    else:
        events = [*await funded.take(refused), *await funded.take(corrected)]

    assert [type(event).__name__ for event in events] == ["ConfirmAnswered", "AssessmentRequested"]
    assert statuses(events) == [status]
    assert (await only(funded)).request_id == corrected.request_id


async def test_a_request_with_a_used_key_does_not_take_its_transaction(funded):
    await funded.take(request(1, "tx-1", "key-1"))

    events = await funded.take(request(2, "tx-2", "key-1"), request(3, "tx-2", "key-2"))

    assert statuses(events) == [422]
    assert len(await funded.payments()) == 2


async def test_a_request_with_a_used_transaction_does_not_take_its_key(funded):
    await funded.take(request(1, "tx-1", "key-1"))

    events = await funded.take(request(2, "tx-1", "key-2"), request(3, "tx-2", "key-2"))

    assert statuses(events) == [409]
    assert {payment.idempotency_key for payment in await funded.payments()} == {"key-1", "key-2"}


async def test_each_request_of_a_mixed_batch_gets_its_own_reply(funded):
    await funded.take(request(1, "tx-old", "key-old"))
    batch = [
        request(2, "tx-1", "key-1"),
        request(3, "tx-1", "key-1"),
        request(4, "tx-2", "key-1"),
        request(5, "tx-1", "key-2"),
        request(6, "tx-3", "key-3", from_account="acc-9"),
        request(7, "tx-3", "key-3", currency="EUR"),
        request(8, "tx-3", "key-3", to_account=None),
        request(9, "tx-old", "key-old"),
        request(10, "tx-4", "key-4", amount="10000.01"),
    ]

    events = await funded.take(*batch)

    replies = {int(answer.request_id.hex[-2:]): answer.status for answer in answers(events)}
    assert replies == {3: 409, 4: 422, 5: 409, 6: 404, 7: 400, 8: 400, 9: 409, 10: 403}
    assert {payment.transaction_id for payment in await funded.payments()} == {
        "tx-old",
        "tx-1",
        "tx-4",
    }


async def test_a_batch_with_a_used_reference_is_retried_with_another_uetr(funded):
    await funded.take(request(1, "tx-1", "key-1"))
    taken = await only(funded)
    clash = UUID(int=2**50 + taken.uetr.int % 2**50, version=4)
    fresh = UUID(int=99, version=4)
    drawn = iter([UUID(int=50, version=4), clash, fresh])
    funded.clock.new_id = lambda: next(drawn)

    await funded.take(request(2, "tx-2", "key-2"))

    assert {payment.uetr for payment in await funded.payments()} == {taken.uetr, fresh}


async def challenged_payment(world):
    await world.take(request(1))
    await world.take(assessed(await only(world), 85, amount_usd_minor=1))
    await world.take(challenged(await only(world)))
    return await only(world)


async def test_a_payment_with_a_code_is_confirmed_and_replayed(funded):
    payment = await challenged_payment(funded)
    assert payment.status is Status.AWAITING_CODE

    await funded.take(request(2, code="wrong"))
    wrong = await funded.take(verified(await only(funded), "invalid"))
    await funded.take(request(3, code="right"))
    right = await funded.take(verified(await only(funded), "valid", challenge_over=True))
    replay = await funded.ask(request(4, code="right"), request(5), request(6, code="wrong"))

    assert [a.body for a in answers(wrong)] == [INVALID_OTP]
    assert statuses(right) == [200]
    assert [answer.status for answer in replay] == [200, 200, 401]
    assert replay[0].body == replay[1].body == answers(right)[0].body
    assert await funded.transfers() == [(payment.id, "HOLD")]


@pytest.mark.parametrize(
    ("reason", "status", "body"),
    [
        ("too_many", 429, TOO_MANY),
        ("locked", 403, CODES_LOCKED),
        ("undeliverable", 403, UNDELIVERABLE),
    ],
)
async def test_a_refused_code_has_a_reason_and_the_request_works_later(
    funded, reason, status, body
):
    await funded.take(request(1))
    await funded.take(assessed(await only(funded), 85, amount_usd_minor=1))

    refusal = await funded.take(refused(await only(funded), reason))
    repeated = await funded.take(request(2))
    (code,) = answers(await funded.take(challenged(await only(funded))))

    assert [(answer.status, answer.body) for answer in answers(refusal)] == [(status, body)]
    assert [type(event).__name__ for event in repeated] == [
        "ChallengeRequested",
        "PaymentStatusChanged",
    ]
    assert (code.status, (await only(funded)).challenge_number) == (403, 1)
    assert (await only(funded)).answer_body is None


async def test_a_locked_user_gets_codes_locked_and_can_send_the_code_again(funded):
    await challenged_payment(funded)

    await funded.take(request(2, code="any"))
    locked = verified(await only(funded), "locked", challenge_over=False, codes_locked=True)
    refusal = await funded.take(locked)
    await funded.take(request(3, code="right"))
    right = await funded.take(verified(await only(funded), "valid", challenge_over=True))

    assert [answer.body for answer in answers(refusal)] == [CODES_LOCKED]
    assert statuses(right) == [200]


async def test_a_second_code_is_refused_while_the_first_is_verified(funded):
    await challenged_payment(funded)

    events = await funded.take(request(2, code="one"), request(3, code="two"))

    assert [type(event).__name__ for event in events] == [
        "VerificationRequested",
        "ConfirmAnswered",
        "PaymentStatusChanged",
    ]
    assert statuses(events) == [409]
    assert (await only(funded)).tag_under_test == "one"


async def test_where_funds_cover_one_of_two_payments_the_first_is_confirmed(funded):
    await funded.take(request(1, "tx-1", "key-1", amount="6000"))
    await funded.take(request(2, "tx-2", "key-2", amount="6000"))
    first, second = sorted(await funded.payments(), key=lambda payment: payment.transaction_id)

    events = await funded.take(assessed(first), assessed(second))

    assert statuses(events) == [200, 403]
    balances = await funded.balances()
    assert (balances["acc-1"], balances["in-flight:USD"]) == (400_000, 600_000)
    assert await funded.transfers() == [(first.id, "HOLD")]


@pytest.mark.parametrize(
    ("status", "kind", "balances"),
    [
        (
            "SETTLED",
            "SETTLE",
            {"acc-1": 480_000, "in-flight:USD": 0, "clearing:first-bank:USD": 520_000},
        ),
        ("REJECTED", "RETURN", {"acc-1": 1_000_000, "in-flight:USD": 0}),
    ],
)
async def test_a_repeated_settlement_result_moves_the_money_once(funded, status, kind, balances):
    await funded.take(request())
    await funded.take(assessed(await only(funded)))
    payment = await only(funded)
    update = settled(payment, status)

    await funded.take(settled(payment, "SENT", 1), update, update)
    await funded.take(update, settled(payment, "UNKNOWN", 3))

    assert (await only(funded)).settlement_status == status
    assert await funded.transfers() == sorted([(payment.id, "HOLD"), (payment.id, kind)])
    assert {name: (await funded.balances())[name] for name in balances} == balances


@pytest.mark.parametrize("event", [assessed, challenged, refused, verified, settled])
async def test_a_result_about_an_unknown_payment_is_rejected(funded, event):
    stranger = payment_in(Status.CONFIRMED)

    with pytest.raises(Rejected, match=str(stranger.id)):
        await funded.take(event(stranger))


async def test_late_results_do_not_change_a_declined_payment(funded):
    funded.policy = Policy(decline_at=1)
    await funded.take(request())
    await funded.take(assessed(await only(funded)))
    declined_one = await only(funded)

    for event in (
        assessed(declined_one, 0),
        challenged(declined_one),
        refused(declined_one),
        verified(declined_one),
        settled(declined_one),
    ):
        assert await funded.take(event) == []

    assert await only(funded) == declined_one
    assert await funded.transfers() == []


async def test_a_review_case_is_opened_once(funded):
    await funded.take(request())
    payment = await only(funded)

    await funded.take(assessed(payment, 91), assessed(payment, 91))

    assert await funded.reviews() == [payment.id]


async def test_an_overdue_payment_is_declined_and_its_request_gets_a_reply(funded, caplog):
    caplog.set_level("INFO", "countersign.payments")
    await funded.take(request(1, "tx-1", "key-1"), request(2, "tx-2", "key-2"))
    assert await funded.deadlines().work_slice() == 0

    await funded.later(minutes=15, seconds=1)
    assert await funded.deadlines().work_slice() == 2

    failed = await funded.payments()
    assert {payment.reason for payment in failed} == {"timed_out"}
    logged = [line.fields["payment_id"] for line in caplog.records]
    assert sorted(logged) == sorted(payment.id for payment in failed)
    replies = funded.broker.topics["payment.confirm-answered.v1"]
    assert len(replies) == 2
    assert declined("timed_out").replace("tx-987", "tx-1") in str(replies[0].value).replace(
        "\\", ""
    )
    assert await funded.deadlines().work_slice() == 0


async def test_a_payment_decided_before_its_deadline_is_not_timed_out(funded):
    await funded.take(request())
    payment = await only(funded)
    await funded.later(minutes=7)
    await funded.take(assessed(payment))
    await funded.later(minutes=9)

    assert await funded.deadlines().work_slice() == 0
    assert (await only(funded)).status is Status.CONFIRMED
    assert (await only(funded)).request_id != LATER_REQUEST


def expiring(world, **fields):
    """A request that the gateway has just accepted; it expires after 15 minutes."""
    return request(expires_at=world.clock.now() + timedelta(minutes=15), **fields)


async def test_an_expired_command_creates_nothing_and_gets_no_reply(funded):
    expired = expiring(funded)
    await funded.later(minutes=15)

    assert await funded.take(expired) == []
    assert await funded.payments() == []


async def test_a_valid_command_in_a_batch_with_an_expired_one_is_handled(funded):
    late = expiring(funded, number=1)
    await funded.later(minutes=15)
    in_time = expiring(funded, number=2, transaction="tx-2", key="key-2")

    (event,) = await funded.take(late, in_time)

    assert event.transaction_id == "tx-2"
    assert len(await funded.payments()) == 1


async def test_an_expired_command_with_a_code_changes_nothing(funded):
    await funded.take(request(1))
    await funded.take(assessed(await only(funded), 85))
    await funded.take(challenged(await only(funded)))
    waiting = await only(funded)
    late = request(2, code="tag-1", expires_at=funded.clock.now())

    assert await funded.take(late) == []
    assert await only(funded) == waiting


async def at_risk(world):
    await world.take(request())
    return assessed(await only(world))


async def verifying(world):
    await world.take(request())
    await world.take(assessed(await only(world), 85))
    await world.take(challenged(await only(world)))
    await world.take(request(2, code="tag-1"))
    return verified(await only(world))


@pytest.mark.parametrize("result_of", [at_risk, verifying])
async def test_a_result_after_the_deadline_moves_no_money_before_the_worker_runs(funded, result_of):
    """After 15 minutes of downtime, results and due rows arrive together, in any order."""
    late = await result_of(funded)
    await funded.later(minutes=15)

    events = await funded.take(late)

    payment = await only(funded)
    assert (payment.status, payment.reason) == (Status.DECLINED, "timed_out")
    assert [answer.body for answer in answers(events)] == [payment.answer_body]
    assert await funded.transfers() == []
    assert await funded.deadlines().work_slice() == 0


@pytest.mark.parametrize("is_assessed", [True, False])
async def test_a_hit_of_a_changed_list_declines_before_the_code_or_the_assessment(
    funded, is_assessed
):
    await funded.take(request())
    payment = await only(funded)
    if is_assessed:
        await funded.take(assessed(payment, 75))

    assert await funded.take(reviewed(payment, by_list=False)) == []
    events = await funded.take(reviewed(payment), reviewed(payment))

    kinds = [type(event).__name__ for event in events]
    assert kinds == ["ConfirmAnswered", "PaymentDeclined", "PaymentStatusChanged"]
    # Neither the late assessment nor a code confirms it.
    assert await funded.take(assessed(payment, 10)) == []
    payment = await only(funded)
    assert (payment.status, payment.reason) == (Status.DECLINED, "not_permitted")
    assert (await funded.balances())["acc-1"] == 1_000_000


async def test_a_hit_of_a_changed_list_leaves_a_confirmed_payment_to_people(funded):
    await funded.take(request())
    await funded.take(assessed(await only(funded), 10))

    assert await funded.take(reviewed(await only(funded))) == []
    assert (await only(funded)).status is Status.CONFIRMED
