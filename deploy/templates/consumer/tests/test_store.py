"""One contract for the entries in PostgreSQL and for their twin."""

from payment_schemas.events.confirmation import PaymentConfirmed
from sample.domain import entry_of
from testkit.events import PAYMENT, event_of

ENTRY = entry_of(event_of(PaymentConfirmed))


async def test_a_payment_is_added_once(entries):
    assert await entries.add([ENTRY]) == {PAYMENT}
    assert await entries.add([ENTRY]) == set()


async def test_an_entry_is_found_by_its_payment(entries):
    await entries.add([ENTRY])
    (found,) = await entries.of_payment(PAYMENT)
    assert (found["user_id"], found["amount_minor"]) == (ENTRY.user_id, ENTRY.amount_minor)


async def test_without_refused_records_there_is_no_dead_letter(entries):
    assert await entries.dead_letters() == 0
