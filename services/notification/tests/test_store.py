"""One contract for the memory twin and PostgreSQL."""

from dataclasses import replace
from uuid import UUID

import psycopg
import pytest
from notification_world import CONTACT, challenged

from notification.domain import Contact, Status, code_delivery, outcome_delivery
from notification.store import NewDelivery, queries
from payment_schemas.events.confirmation import PaymentConfirmed
from payment_schemas.sealed import Personal
from testkit.events import NOON, PAYMENT, event_of

TRACE = (("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),)
TEXT = code_delivery(challenged(), UUID(int=1), NOON)
MAIL = outcome_delivery(event_of(PaymentConfirmed), UUID(int=2), NOON)
EXPIRED = replace(MAIL, status=Status.EXPIRED, due_at=None, reason="status_503")


async def add(world, *deliveries):
    async with world.database.transaction() as tx:
        await world.store(tx).add([NewDelivery(one, TRACE) for one in deliveries])


async def save(world, *deliveries):
    async with world.database.transaction() as tx:
        await world.store(tx).save(deliveries)


async def claim(world, only=None):
    async with world.database.transaction() as tx:
        return await world.table(only).claim(tx, 100, 10.0)


async def test_a_claimed_delivery_equals_the_added_one(world):
    await add(world, TEXT)
    (due,) = await claim(world)
    assert due.row == TEXT
    assert due.row.sealed_code.reveal() == TEXT.sealed_code.reveal()
    assert due.cause.trace == TRACE


async def test_each_channel_is_claimed_separately(world):
    await add(world, TEXT, MAIL)
    assert [due.row for due in await claim(world, {"channel": "email"})] == [MAIL]


async def test_an_event_that_comes_again_adds_one_delivery(world):
    await add(world, MAIL, MAIL)
    await save(world, replace(MAIL, status=Status.DELIVERED, due_at=None))
    await add(world, MAIL)
    await world.later()
    assert await claim(world) == []


async def test_all_fields_that_an_attempt_changes_are_saved(world):
    await add(world, TEXT)
    await claim(world)
    changed = replace(TEXT, tries=3, reason="status_503", provider_id="SM1")
    await save(world, changed)
    (due,) = await claim(world)
    assert (due.row, due.epoch) == (changed, 2)


async def test_an_ended_delivery_cannot_change(world):
    await add(world, MAIL)
    await save(world, EXPIRED)
    with pytest.raises((ValueError, psycopg.errors.RaiseException)):
        await save(world, replace(EXPIRED, status=Status.DELIVERED))


async def test_contacts_are_found_by_user_and_the_last_one_counts(world):
    other = Contact("usr-457", Personal("+15550100457"), Personal("usr-457@example.com"))
    moved = replace(CONTACT, phone=Personal("+15550100999"))
    await world.put_contacts(CONTACT, other, moved)
    found = await world.contacts(["usr-456", "usr-457", "usr-458", "usr-456"])
    assert {name: one.phone.reveal() for name, one in found.items()} == {
        "usr-456": "+15550100999",
        "usr-457": "+15550100457",
    }


async def test_a_payments_messages_are_returned_with_their_in_flight_state(world):
    await add(world, TEXT, MAIL)
    await claim(world, {"channel": "email"})
    async with world.database.transaction() as tx:
        found = await world.store(tx).siblings({PAYMENT, UUID(int=9)})
    assert found[UUID(int=9)] == []
    shown = {(one.template, one.challenge_number, one.in_flight) for one in found[PAYMENT]}
    assert shown == {("code", 1, False), ("confirmed", 0, True)}
    assert {(one.status, one.due_at) for one in found[PAYMENT]} == {(Status.QUEUED, NOON)}


async def test_an_ended_challenge_stays_ended(world):
    async with world.database.transaction() as tx:
        store = world.store(tx)
        await store.end_challenges({UUID(int=1), UUID(int=2)})
        await store.end_challenges({UUID(int=2)})
        await store.end_challenges(set())
        assert await store.ended_challenges({UUID(int=2), UUID(int=3)}) == {UUID(int=2)}
        assert await store.ended_challenges(set()) == set()


@pytest.mark.stack
async def test_operators_see_no_text_no_number_and_no_address(postgres_world):
    world = postgres_world
    await add(world, TEXT, MAIL)
    rows = await world.rows(PAYMENT)
    assert [row["template"] for row in rows] in (["code", "confirmed"], ["confirmed", "code"])
    assert set(rows[0]) == {
        "delivery_id", "payment_id", "channel", "template", "status", "reason", "provider_id",
        "tries", "created_at", "updated_at", "due_at", "expires_at", "parked_at", "last_error",
    }  # fmt: skip
    assert await world.rows(UUID(int=99)) == []


@pytest.mark.stack
async def test_the_check_lists_expired_outcomes_and_unfinished_and_parked_rows(postgres_world):
    world = postgres_world
    await add(world, TEXT, MAIL)
    await save(world, EXPIRED)
    (due,) = await claim(world)
    async with world.database.transaction() as tx:
        await world.table().park(tx, due, "Invariant")
    found, counts = await world.check()
    assert found.violations == [
        {"invariant": "I13", "payment_id": PAYMENT, "details": "confirmed by email expired"}
    ]
    assert [row["payment_id"] for row in found.unfinished] == [PAYMENT]
    assert counts == {"parked": 1, "dead_letters": 0}


@pytest.mark.stack
async def test_an_ended_delivery_keeps_no_code(postgres_world):
    await add(postgres_world, TEXT)
    with pytest.raises(psycopg.errors.CheckViolation):
        await save(postgres_world, replace(TEXT, status=Status.DELIVERED, due_at=None))


@pytest.mark.stack
async def test_templates_are_exported_by_payment_in_pages(postgres_world):
    world = postgres_world
    other = replace(MAIL, id=UUID(int=9), payment_id=UUID(int=9))
    await add(world, MAIL, TEXT, other)
    async with world.database.transaction() as tx:
        first = await queries.export(tx, UUID(int=0), 1)
        rest = await queries.export(tx, first[0]["payment_id"], 5)
    assert first == [{"payment_id": UUID(int=9), "templates": ["confirmed"]}]
    assert rest == [{"payment_id": PAYMENT, "templates": ["code", "confirmed"]}]
