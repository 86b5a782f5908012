"""The same tests for the tables in memory and in PostgreSQL: stored and refused writes."""

from dataclasses import replace

import pytest
from confirm_builders import created, first_request, payment_in, uetr
from psycopg.errors import UniqueViolation

from confirm.domain.decision import review_case
from confirm.domain.ledger import hold, ledger, settle
from confirm.domain.payment import LEGAL, Status
from confirm.domain.requests import reference_of
from payment_schemas.ids import payment_id_of

STEPS = [(one, other) for one in Status for other in Status]


def other(number, **fields):
    """A payment other than tx-987, with its own key and UETR."""
    made = {"transaction_id": f"tx-{number}", "idempotency_key": f"key-{number}", **fields}
    payment = created(**made)
    return replace(payment, uetr=uetr(number), reference=reference_of(uetr(number)))


@pytest.fixture
async def funded(world):
    await world.open_account("acc-1", "usr-456", 1_000_000)
    return world


async def opened(world, *payments):
    async with world.stored() as store:
        await store.open(payments)
    return await world.payments()


@pytest.mark.parametrize("status", list(Status))
async def test_a_stored_payment_is_read_back_unchanged(funded, status):
    payment = payment_in(status)

    assert await opened(funded, payment) == [payment]
    async with funded.stored() as store:
        found, payers = await store.lock([payment.id, other(2).id], with_payers=True)
    assert found == {payment.id: payment}
    assert list(payers) == ["acc-1"]


@pytest.mark.parametrize(
    "clash",
    [
        pytest.param({"transaction_id": "tx-987"}, id="transaction"),
        pytest.param({"idempotency_key": "abc-123"}, id="key"),
        pytest.param({"uetr": uetr()}, id="uetr"),
        pytest.param({"reference": reference_of(uetr())}, id="reference"),
    ],
)
async def test_a_batch_with_a_used_key_or_identifier_is_refused_as_a_whole(funded, clash):
    first = created()
    second = replace(
        other(2), **clash, id=payment_id_of("usr-456", clash.get("transaction_id", "tx-2"))
    )
    assert await opened(funded, first) == [first]

    with pytest.raises(UniqueViolation):
        await opened(funded, other(3), second)

    assert await funded.payments() == [first]


async def test_a_request_finds_payments_by_transaction_and_by_key(funded):
    await opened(funded, other(1), other(2), other(3), other(4))

    async with funded.stored() as store:
        found = await store.lock_known(
            [
                first_request(transaction_id="tx-1", idempotency_key="key-2"),
                first_request(transaction_id="tx-9", idempotency_key="key-3"),
                first_request(user_id="usr-457", transaction_id="tx-4", idempotency_key="key-4"),
            ]
        )

    assert {payment.transaction_id for payment in found} == {"tx-1", "tx-2", "tx-3"}
    assert [payment.id for payment in found] == sorted(payment.id for payment in found)


@pytest.mark.parametrize(("start", "end"), STEPS)
async def test_only_legal_steps_can_be_stored(funded, start, end):
    await opened(funded, payment_in(start, version=2))
    legal = (start, end) in LEGAL
    moved = payment_in(end, version=3 if start is not end else 2)

    if legal or (start is end and end is not Status.DECLINED):
        async with funded.stored() as store:
            await store.save([moved])
        assert await funded.payments() == [moved]
    else:
        with pytest.raises(funded.refused):
            async with funded.stored() as store:
                await store.save([moved])
        assert (await funded.payments())[0].status is start


@pytest.mark.parametrize("version", [1, 2, 4])
async def test_a_step_increases_the_version_by_one(funded, version):
    await opened(funded, payment_in(Status.AWAITING_RISK, version=2))

    with pytest.raises(funded.refused):
        async with funded.stored() as store:
            await store.save([payment_in(Status.CHALLENGING, version=version)])


async def test_a_payment_is_posted_as_a_hold_and_a_settlement(funded):
    payment = created()

    for transfer in (hold(payment), settle(payment, "north-bank")):
        async with funded.stored() as store:
            posted = ledger(await store.lock_accounts({"acc-1"}))
            posted.post(transfer)
            await store.post(posted)

    assert await funded.balances() == {
        "acc-1": 480_000,
        "clearing:north-bank:USD": 520_000,
        "equity:opening:USD": -1_000_000,
        "in-flight:USD": 0,
    }


async def test_a_batch_that_changes_nothing_writes_nothing(funded):
    async with funded.stored() as store:
        await store.open([])
        await store.save([])
        await store.open_reviews([])

    assert await funded.payments() == []


async def test_a_payment_has_one_review_case(funded):
    payment = created()
    await opened(funded, payment)
    case = review_case(payment, ("risk",))

    for _ in range(2):
        async with funded.stored() as store:
            await store.open_reviews([case, case])

    assert await funded.reviews() == [payment.id]
