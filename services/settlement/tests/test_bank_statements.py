"""Statements that banks on Kafka send in pages, compared with the instructions."""

from datetime import timedelta
from uuid import uuid4

import pytest
from settlement_builders import NOW, from_bank, kafka_partner, report, requested

from partner_messages.messages import StatementEntry, StatementPage

PAYEE = "kafka-bank-payee"
DAY = NOW.date()


def entry(number: int = 1, **fields) -> StatementEntry:
    return StatementEntry(
        **{
            "uetr": requested(number).uetr,
            "amount": "5200.00",
            "currency": "USD",
            "bank_reference": f"B-{number}",
            "booked_at": NOW,
            **fields,
        }
    )


def page(*entries, number: int = 1, is_last: bool = True, day=DAY):
    content = StatementPage(
        statement_id="S-1", day=day, page=number, is_last=is_last, entries=entries
    )
    return from_bank(content)


@pytest.fixture
async def bank(world):
    """A world with two transfers that a bank on Kafka has settled, on the day after."""
    await world.add_partner(kafka_partner())
    await world.request(requested(1, PAYEE), requested(2, PAYEE))
    await world.hear(from_bank(report(1)), from_bank(report(2)))
    world.clock.pass_time(seconds=86_400)
    return world


async def missing(world):
    await world.reconciliation().reconcile_received()
    return [case["uetr"] for case in await world.list_cases() if case["kind"] == "MISSING_THERE"]


async def test_a_statement_with_every_transfer_opens_no_case(bank):
    await bank.hear(page(entry(1), entry(2)))
    assert (await missing(bank), await bank.list_cases()) == ([], [])


async def test_pages_count_once_and_in_any_order(bank):
    last = page(entry(2), number=2)
    await bank.hear(last, last)
    assert await missing(bank) == []
    await bank.hear(page(entry(1), is_last=False))
    assert (await missing(bank), await bank.list_cases()) == ([], [])


async def test_the_log_says_which_pages_have_come(bank, caplog):
    caplog.set_level("INFO", "countersign.settlement")
    await bank.hear(page(entry(1), is_last=False), page(number=2))
    lines = [line.fields for line in caplog.records if line.msg == "statement_page"]
    assert [(line["reason"], line["count"]) for line in lines] == [
        ("2026-03-02 page 1", 1),
        ("2026-03-02 page 2, the last", 0),
    ]


@pytest.mark.parametrize(
    ("entries", "kinds"),
    [
        ([entry(1), entry(2, amount="5200.01")], {"AMOUNT_DIFFERS"}),
        ([entry(1), entry(2), entry(77)], {"MISSING_HERE"}),
        ([entry(1), entry(2), entry(2, bank_reference="B-3")], {"MISSING_HERE"}),
    ],
)
async def test_a_difference_on_a_page_opens_a_case(bank, entries, kinds):
    await bank.hear(page(*entries))
    assert {case["kind"] for case in await bank.list_cases()} == kinds
    assert {action for action, _ in bank.audit_entries()} == {"CASE_OPENED"}


async def test_a_page_of_a_day_to_come_is_refused(bank):
    await bank.hear(page(entry(1), day=DAY + timedelta(days=2)))
    assert bank.refused() == ["schema"]


async def test_a_page_that_is_not_signed_by_its_bank_counts_nothing(bank):
    record = page(entry(1, uetr=uuid4()))
    await bank.hear(type(record)(record.topic, record.key, b"{}", record.headers))
    assert (bank.refused(), await bank.list_cases()) == (["signature_forged"], [])


async def test_a_bank_on_kafka_is_not_asked_for_its_statement_over_http(world, caplog):
    await world.add_partner(kafka_partner("first-bank", account_prefixes=("kafka-bank-",)))
    world.bank.is_down = True
    await world.reconciliation().run()
    assert "statement_unread" not in caplog.text


async def test_a_transfer_by_kafka_is_not_missing_on_a_statement_over_http(memory_world):
    world = memory_world
    await world.request(requested(2))
    await world.add_partner(kafka_partner("first-bank"))
    await world.request(requested(1))
    await world.hear(from_bank(report(1), partner="first-bank"))
    await world.send()
    world.clock.pass_time(seconds=3600)
    await world.reconciliation().reconcile("first-bank", DAY)
    cases = await world.list_cases()
    assert [(case["kind"], case["uetr"]) for case in cases] == [
        ("MISSING_THERE", requested(2).uetr)
    ]


@pytest.mark.stack
async def test_a_settled_transfer_that_a_whole_statement_lacks_opens_a_case(postgres_world):
    world = postgres_world
    await world.add_partner(kafka_partner())
    await world.request(requested(1, PAYEE), requested(2, PAYEE))
    await world.hear(from_bank(report(1)), from_bank(report(2)))
    await world.execute("update instruction set updated_at = '2026-03-02T09:00:00Z'")
    world.clock.pass_time(seconds=86_400)
    await world.hear(page(entry(1)))
    assert await missing(world) == [requested(2).uetr]
    await world.hear(page(entry(2), day=DAY + timedelta(days=1)))
    assert await missing(world) == []
