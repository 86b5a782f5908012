"""Writes that PostgreSQL refuses, and concurrent transactions."""

import asyncio
from dataclasses import fields, replace
from functools import partial

import psycopg
import pytest
from confirm_builders import POLICY, assessed, created, first_request, payment_in
from confirm_world import answers
from psycopg.types.json import Jsonb

from confirm import handlers
from confirm.app import new_uetr
from confirm.domain.ledger import Ledger, hold
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


async def posted(world):
    async with world.stored() as store:
        ledger = Ledger(await store.lock_accounts({"acc-1"}))
        ledger.post(hold(created()))
        await store.post(ledger)


@pytest.mark.parametrize("table", ["journal", "entry"])
@pytest.mark.parametrize(
    "change", ["update {} set {} = {}", "delete from {}", "truncate {} cascade"]
)
async def test_the_ledger_is_append_only_even_for_its_owner(world, confirm_database, table, change):
    await posted(world)
    column = "kind" if table == "journal" else "currency"

    async with await psycopg.AsyncConnection.connect(confirm_database.owner_dsn) as owner:
        with pytest.raises(psycopg.errors.RaiseException, match="is append-only"):
            await owner.execute(change.format(table, column, column))


@pytest.mark.parametrize(
    "statement", ["delete from payment", "delete from account", "truncate entry"]
)
async def test_the_service_role_cannot_delete_rows(world, statement):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await world.rows(statement)


@pytest.mark.parametrize(
    "sides",
    [
        pytest.param([("acc-1", -5, "USD"), ("acc-2", 4, "USD")], id="a cent is lost"),
        pytest.param([("acc-1", -5, "USD"), ("acc-2", 5, "EUR")], id="in two currencies"),
        pytest.param([("acc-1", -5, "USD")], id="one side only"),
    ],
)
async def test_an_unbalanced_journal_is_refused(world, sides):
    rows = [{"account": a, "amount": m, "currency": c} for a, m, c in sides]

    with pytest.raises(psycopg.errors.RaiseException, match="does not sum to zero"):
        await world.rows(
            """with one as (insert into journal (id, payment_id, kind)
                            values (gen_random_uuid(), gen_random_uuid(), 'HOLD') returning id)
               insert into entry (journal_id, account_id, amount_minor, currency)
               select one.id, account, amount, currency from one,
                    jsonb_to_recordset(%(rows)s)
                        as side (account text, amount bigint, currency text)
            """,
            rows=Jsonb(rows),
        )


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
        (Status.AWAITING_RISK, {"from_account": "acc-9"}),
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
        "select column_name from information_schema.columns where table_name = 'payment'"
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


async def test_posting_does_not_wait_for_uncommitted_entries_of_another_instance(world):
    await world.take(*[request(n, f"tx-{n}", f"key-{n}", amount="1") for n in (1, 2)])
    first, second = await world.payments()
    await world.take(assessed(first))

    async with world.database.transaction() as tx:
        # Another instance has written its entries, but not yet the balances.
        await tx.rows(
            """with one as (insert into journal (id, payment_id, kind)
                            values (gen_random_uuid(), gen_random_uuid(), 'HOLD') returning id)
               insert into entry (journal_id, account_id, amount_minor, currency)
               select id, account, amount, 'USD'
               from one, (values ('acc-2', -5), ('in-flight:USD', 5)) as side (account, amount)
               returning journal_id"""
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
    assert len(await world.journals()) == 20


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
