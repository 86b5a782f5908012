"""Writes that PostgreSQL refuses, and concurrent transactions."""

import asyncio
from dataclasses import fields, replace
from functools import partial

import psycopg
import pytest
from confirm_builders import POLICY, assessed, first_request, payment_in
from confirm_world import answers

from confirm import handlers
from confirm.app import new_uetr
from confirm.domain.payment import Payment, Status
from confirm.store.postgres import PostgresPayments
from service_runtime.messages import Batch
from testkit.events import received

pytestmark = pytest.mark.stack


@pytest.fixture
async def world(postgres_world):
    await postgres_world.open_account("acc-1", "usr-456", 1_000_000)
    await postgres_world.open_account("acc-2", "usr-456", 1_000_000)
    return postgres_world


UPDATE = "update {0} set {1} = {1}"
MAY_CHANGE = {
    "account": {"balance_minor"},
    "payment": set(),
    "payment_state": {field.name for field in fields(Payment)} - {"id"},
    "request_token": set(),
    "review_case": set(),
    "transfer": set(),
    "unfinished_payment": {"due_at", "attempts", "owner", "lease_until"}
    | {"epoch", "parked_at", "last_error"},
}
"""By table: the columns that a step of a payment needs to change."""
MAY_DELETE = {"unfinished_payment", "request_token"}
FORBIDDEN = [
    *["delete from " + table for table in MAY_CHANGE if table not in MAY_DELETE],  # noqa: S608
    *["truncate " + table for table in MAY_CHANGE],
    *["drop table " + table for table in MAY_CHANGE],
    "create table another (id int)",
    "alter table payment add column another int",
    "insert into account (id, currency, balance_minor) values ('acc-9', 'USD', 1)",
    "insert into transfer (posted_at) values ('-infinity')",
    "insert into review_case (opened_at) values ('-infinity')",
    "alter table payment_state disable trigger payment_steps",
    "set session_replication_role = replica",
]


async def test_the_service_role_may_change_what_a_step_needs_and_nothing_else(world):
    columns = await world.rows(
        "select table_name, column_name from information_schema.columns"
        " where table_schema = 'confirm'"
    )
    forbidden = [
        UPDATE.format(table, column)
        for table, column in ((row["table_name"], row["column_name"]) for row in columns)
        if column not in MAY_CHANGE.get(table, {column})
    ]
    assert len(forbidden) > 30

    for statement in [*forbidden, *FORBIDDEN]:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await world.rows(statement)


FINAL_VALUES = {
    "status": "'DECLINED'",
    "version": "3",
    "request_id": "gen_random_uuid()",
    "reply_partition": "9",
    "risk_score": "99",
    "risk_level": "'critical'",
    "challenge_id": "gen_random_uuid()",
    "challenge_number": "3",
    "challenged_at": "now()",
    "challenge_ends_at": "now()",
    "challenge_over": "true",
    "tag_under_test": "'tag'",
    "accepted_tag": "'tag'",
    "answer_status": "403",
    "answer_body": "'{}'",
    "settlement_version": "1",
}


@pytest.mark.parametrize(("column", "value"), FINAL_VALUES.items())
async def test_a_decided_payment_changes_only_its_settlement_and_never_back(world, column, value):
    async with world.stored() as store:
        await store.open([payment_in(Status.CONFIRMED, settlement_version=2)])

    with pytest.raises(psycopg.errors.RaiseException, match="no way from CONFIRMED"):
        await world.rows(f"update payment_state set {column} = {value} returning id")  # noqa: S608


@pytest.mark.parametrize("settlement", ["SETTLED", "REJECTED"])
async def test_a_settlement_that_has_ended_never_changes(world, settlement):
    async with world.stored() as store:
        await store.open([payment_in(Status.CONFIRMED, settlement_status=settlement)])

    with pytest.raises(psycopg.errors.RaiseException, match="no way from CONFIRMED"):
        await world.rows("update payment_state set settlement_status = 'SENT' returning id")


@pytest.mark.parametrize(
    ("status", "broken"),
    [
        (Status.CONFIRMED, {"answer_body": None}),
        (Status.CONFIRMED, {"risk_score": None}),
        (Status.CONFIRMED, {"settlement_status": "NONE"}),
        (Status.DECLINED, {"reason": None}),
        (Status.DECLINED, {"reason": "because"}),
        (Status.AWAITING_RISK, {"due_at": None}),
        (Status.AWAITING_RISK, {"settlement_status": "PENDING"}),
        (Status.AWAITING_RISK, {"amount_minor": 0}),
        (Status.AWAITING_RISK, {"to_account": "acc-1"}),
        (Status.AWAITING_RISK, {"challenge_number": 4}),
        (Status.AWAITING_RISK, {"version": 0}),
        (Status.AWAITING_CODE, {"challenge_id": None}),
        (Status.VERIFYING, {"challenge_id": None}),
    ],
)
async def test_a_payment_in_an_illegal_state_cannot_be_stored(world, status, broken):
    with pytest.raises(psycopg.IntegrityError):
        async with world.stored() as store:
            await store.open([replace(payment_in(status), **broken)])


async def test_every_field_of_a_payment_has_its_column(world):
    rows = await world.rows(
        "select column_name from information_schema.columns where table_name = 'payment_record'"
    )

    assert {field.name for field in fields(Payment)} <= {row["column_name"] for row in rows}


def request(number, transaction, key, **fields):
    made = {"transaction_id": transaction, "idempotency_key": key, **fields}
    return first_request(request_id=f"00000000-0000-4000-8000-{number:012}", **made)


async def handled(world, tx, *requests):
    """Handle requests in a transaction that the test commits."""
    items = [received(one, world.clock.new_id()) for one in requests]
    batch = Batch(items, world.clock.now())
    emitted = await handlers.on_confirm_requested(
        batch, PostgresPayments(tx), POLICY, partial(new_uetr, world.clock)
    )
    return [emit.event for emit in emitted]


@pytest.mark.parametrize(
    ("transaction", "key", "status"),
    [
        pytest.param("tx-1", "key-2", 409, id="one transaction, two keys"),
        pytest.param("tx-2", "key-1", 422, id="one key, two transactions"),
        pytest.param("tx-1", "key-1", 409, id="the same request twice"),
    ],
)
async def test_the_loser_of_a_race_replies_from_the_winners_row(world, transaction, key, status):
    loser = request(2, transaction, key)

    async with world.database.transaction() as tx:
        await handled(world, tx, request(1, "tx-1", "key-1"))
        race = asyncio.create_task(world.take(loser))
        await world.blocked()
    events = await race

    assert [answer.status for answer in answers(events)] == [status]
    assert len(events) == 1
    (payment,) = await world.payments()
    assert payment.request_id != loser.request_id


async def test_a_request_that_waits_for_a_rolled_back_one_creates_the_payment(world):
    async with world.database.transaction() as tx:
        await handled(world, tx, request(1, "tx-1", "key-1"))
        race = asyncio.create_task(world.take(request(2, "tx-1", "key-2")))
        await world.blocked()
        await tx.connection.rollback()
    await race

    (payment,) = await world.payments()
    assert payment.idempotency_key == "key-2"


async def test_new_payments_do_not_wait_for_a_lock_of_the_account(world):
    async with world.stored() as store:
        await store.lock_accounts({"acc-1"})

        async with asyncio.timeout(2):
            await world.take(request(1, "tx-1", "key-1"))

    assert len(await world.payments()) == 1


async def test_posting_does_not_wait_for_uncommitted_transfers_of_another_instance(world):
    await world.take(*[request(n, f"tx-{n}", f"key-{n}", amount="1") for n in (1, 2)])
    first, second = await world.payments()
    await world.take(assessed(first))

    async with world.database.transaction() as tx:
        # Another instance has written its transfers, but not yet the balances.
        await tx.rows(
            """insert into transfer
                   (source_id, kind, debit_account, credit_account, amount_minor, currency)
               values (gen_random_uuid(), 'HOLD', 'acc-2', 'in-flight:USD', 5, 'USD')
               returning source_id"""
        )
        async with asyncio.timeout(2):
            events = await world.take(assessed(second))
        await tx.connection.rollback()

    assert [answer.status for answer in answers(events)] == [200]


async def test_two_instances_that_post_to_in_flight_do_not_deadlock(world):
    await world.take(
        *[request(n, f"tx-{n}", f"key-{n}", from_account=f"acc-{n % 2 + 1}") for n in range(40)]
    )
    payments = await world.payments()
    of = {name: [p for p in payments if p.from_account == name] for name in ("acc-1", "acc-2")}
    await world.take(assessed(of["acc-1"].pop()))

    async with asyncio.timeout(20):
        for one, other in zip(of["acc-1"], of["acc-2"], strict=False):
            await asyncio.gather(world.take(assessed(one)), world.take(assessed(other)))

    confirmed = [p for p in await world.payments() if p.status is Status.CONFIRMED]
    balances = await world.balances()
    assert balances["in-flight:USD"] == sum(p.amount_minor for p in confirmed)


async def test_concurrent_payments_from_one_account_do_not_overdraw_it(world):
    await world.take(
        request(1, "tx-1", "key-1", amount="6000"), request(2, "tx-2", "key-2", amount="6000")
    )
    first, second = await world.payments()

    results = await asyncio.gather(world.take(assessed(first)), world.take(assessed(second)))

    assert sorted(answer.status for events in results for answer in answers(events)) == [200, 403]
    assert (await world.balances())["acc-1"] == 400_000


async def test_batches_that_share_payments_in_reverse_order_do_not_deadlock(world):
    requests = [request(n, f"tx-{n}", f"key-{n}", amount="1") for n in range(20)]
    await world.take(*requests)
    payments = await world.payments()
    forth, back = [assessed(one) for one in payments], [assessed(one) for one in payments[::-1]]

    async with asyncio.timeout(10):
        results = await asyncio.gather(world.take(*forth), world.take(*back))

    assert len([answer for events in results for answer in answers(events)]) == 20
    assert len(await world.transfers()) == 20


async def test_concurrent_batches_on_one_hot_account_all_succeed_whole(world):
    """A failed batch would be split into halves, down to single requests."""
    batches, size = 8, 25
    requests = [request(n, f"tx-{n}", f"key-{n}", amount="1") for n in range(batches * size)]
    await world.take(*requests)
    scored = [assessed(payment) for payment in await world.payments()]

    async with asyncio.timeout(60):
        results = await asyncio.gather(
            *[world.take(*scored[start::batches]) for start in range(batches)]
        )

    statuses = [answer.status for events in results for answer in answers(events)]
    assert statuses == [200] * len(scored)
    assert (await world.balances())["acc-1"] == 1_000_000 - 100 * len(scored)
    assert (await world.balances())["in-flight:USD"] == 100 * len(scored)


async def test_a_deadline_and_a_result_of_one_payment_do_not_deadlock(world):
    await world.take(request(1, "tx-1", "key-1"))
    await world.later(hours=1)
    declined = {"status": Status.DECLINED, "version": 2, "due_at": None, "reason": "not_permitted"}

    async with asyncio.timeout(10), world.stored() as store:
        (payment,) = (await store.lock([one.id for one in await world.payments()]))[0].values()
        worker = asyncio.create_task(world.deadlines().work_slice())
        await world.blocked()
        # The result deletes the row that the worker has leased.
        await store.save([replace(payment, answer_status=403, answer_body="{}", **declined)])

    assert await worker == 1
    assert [one.reason for one in await world.payments()] == ["not_permitted"]
    assert await world.rows("select id from unfinished_payment") == []
