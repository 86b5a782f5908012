"""Instructions to banks on Kafka and their reports, in memory and in PostgreSQL."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from settlement_builders import (
    BANK_KEY,
    NOW,
    OUR_KEYS,
    from_bank,
    instruction,
    kafka_partner,
    report,
    requested,
)

from partner_messages.formats import format_of
from partner_messages.keys import Keys, SigningKey
from partner_messages.records import verified
from settlement.domain.partners import MOST_PUBLICATIONS

PAYEE = "kafka-bank-payee"
TOPIC = "settlement.instructions.kafka-bank.v1"
OURS = Keys.of([SigningKey.of_seed(OUR_KEYS.current.id, OUR_KEYS.current.material).public()])
FOREIGN_KEY = SigningKey.of_seed("bank", bytes([9]) * 32)


@pytest.fixture
async def bank(world):
    """A world with a partner on Kafka, and one instruction sent to it."""
    await world.add_partner(kafka_partner(), kafka_partner("other-bank"))
    await world.request(requested(payee=PAYEE))
    return world


async def test_an_instruction_is_sent_with_its_signed_record_in_one_commit(bank):
    (record,) = bank.broker.topics[TOPIC]
    attributes = verified(TOPIC, record.headers, record.value, OURS, NOW)
    message = format_of("json").decode_instruction(record.value)
    assert (message.uetr, message.amount) == (requested().uetr, "5200.00")
    assert message.creditor.account == PAYEE
    assert attributes.time == message.requested_at
    assert "mac" not in dict(record.headers)
    assert record.key == str(requested().uetr).encode()
    assert bank.published() == [("SENT", 2)]
    row = await bank.row_of(instruction(payee=PAYEE))
    assert (row["status"], row["next_step"], row["partner"]) == ("SENT", "PUBLISH", "kafka-bank")


async def test_a_repeated_request_publishes_nothing_more(bank):
    again = requested(payee=PAYEE)
    await bank.request(again, again)
    await bank.request(requested(2, payee=PAYEE), requested(2, payee=PAYEE))
    assert len(bank.broker.topics[TOPIC]) == 2
    assert bank.published() == [("SENT", 2)] * 2


async def test_accounts_of_a_profile_come_before_the_routes_of_settings(world):
    await world.add_partner(kafka_partner("new-bank", account_prefixes=("north-new-",)))
    await world.request(requested(1, "north-new-payee"), requested(2, "north-payee"))
    assert len(world.broker.topics["settlement.instructions.new-bank.v1"]) == 1
    assert (await world.row_of(instruction(2)))["partner"] == "north-bank"


async def test_no_worker_calls_the_bank_of_an_instruction_by_kafka(bank):
    await bank.an_hour_later()
    assert (await bank.send(), await bank.enquire()) == (0, 0)
    assert await bank.send(partner="kafka-bank") == 0


@pytest.mark.parametrize(
    ("status", "published", "due"),
    [("ACCEPTED", "SETTLED", False), ("REJECTED", "REJECTED", False), ("PENDING", None, True)],
)
async def test_a_report_moves_an_instruction_as_a_response_over_http_does(
    bank, status, published, due
):
    await bank.hear(from_bank(report(1, status, bank_reference="B-1")))
    expected = [("SENT", 2), (published, 3)] if published else [("SENT", 2)]
    assert bank.published() == expected
    row = await bank.row_of(instruction(payee=PAYEE))
    assert (row["due_at"] is not None, row["unanswered_since"]) == (due, None)
    assert bank.refused() == []


async def test_a_report_that_comes_twice_or_late_moves_nothing_back(bank):
    accepted, pending = from_bank(report()), from_bank(report(1, "PENDING"))
    await bank.hear(accepted, accepted, pending)
    assert bank.published() == [("SENT", 2), ("SETTLED", 3)]
    assert await bank.list_cases() == []


async def test_reports_of_one_batch_are_applied_in_their_order(bank):
    await bank.hear(from_bank(report(1, "PENDING")), from_bank(report()))
    assert bank.published() == [("SENT", 2), ("SETTLED", 3)]


async def test_a_report_that_contradicts_an_outcome_opens_a_case(bank):
    await bank.hear(from_bank(report()), from_bank(report(1, "REJECTED")))
    assert bank.published() == [("SENT", 2), ("SETTLED", 3)]
    (case,) = await bank.list_cases()
    assert (case["kind"], case["uetr"]) == ("LATE_ANSWER", requested().uetr)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (lambda: from_bank(report(), key=FOREIGN_KEY), "signature_forged"),
        (lambda: from_bank(report(), value=b"{}"), "signature_forged"),
        (
            lambda: from_bank(report(), signed_topic="settlement.reports.other-bank.v1"),
            "signature_other_message",
        ),
        (lambda: on_another_day(from_bank(report())), "signature_other_message"),
        (lambda: from_bank(report(), key=replace(BANK_KEY, kid="x")), "signature_unknown_key"),
        (lambda: from_bank(b"not json"), "schema"),
        (lambda: from_bank(b"{}"), "schema"),
        (lambda: from_bank(report(), ce_type="settlement.updated.v1"), "type"),
        (lambda: from_bank(report(77)), "unknown_uetr"),
        (lambda: from_bank(report(), partner="other-bank"), "other_partner"),
        (lambda: from_bank(report(), partner="no-bank"), "unknown_partner"),
    ],
)
async def test_a_report_that_must_not_count_is_a_dead_letter_and_moves_nothing(
    bank, record, reason
):
    refused = record()
    await bank.hear(refused, from_bank(report(1, "PENDING")))
    assert bank.refused(refused.topic.split(".")[2]) == [reason]
    assert bank.published() == [("SENT", 2)]
    row = await bank.row_of(instruction(payee=PAYEE))
    assert (row["status"], row["unanswered_since"]) == ("SENT", None)


def on_another_day(record):
    """Return a record that says it is of another day than the one it was signed on."""
    time = (NOW + timedelta(days=1)).isoformat().encode()
    headers = ((name, time if name == "ce_time" else raw) for name, raw in record.headers)
    return replace(record, headers=tuple(headers))


async def test_a_signature_counts_before_the_content(bank):
    await bank.hear(from_bank(b"not json", key=FOREIGN_KEY))
    assert bank.refused() == ["signature_forged"]


async def test_a_bank_that_repeats_its_ids_suppresses_no_event(bank):
    await bank.request(requested(2, PAYEE))
    same = uuid4()
    await bank.hear(from_bank(report(1), event_id=same), from_bank(report(2), event_id=same))
    assert bank.settled() == {str(requested(n).uetr) for n in (1, 2)}
    assert len(set(bank.event_ids())) == len(bank.event_ids()) == 4


async def test_the_trace_of_a_bank_goes_on(bank):
    trace = (("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),)
    await bank.hear(from_bank(report(), trace=trace))
    headers = dict(bank.broker.topics["settlement.updated.v1"][-1].headers)
    assert headers["traceparent"].decode() == trace[0][1]


async def test_a_bank_without_traces_does_not_end_the_trace_of_a_payment(world):
    trace = (("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),)
    await world.add_partner(kafka_partner())
    await world.request(requested(payee=PAYEE), trace=trace)
    await world.hear(from_bank(report()))
    for topic in (TOPIC, "settlement.updated.v1"):
        headers = dict(world.broker.topics[topic][-1].headers)
        assert headers["traceparent"].decode() == trace[0][1]


async def test_an_unanswered_instruction_is_published_again_as_it_was(bank):
    await bank.an_hour_later()
    assert await bank.publisher().work_slice() == 1
    first, second = bank.broker.topics[TOPIC]
    assert (first.key, first.value, first.headers) == (second.key, second.value, second.headers)
    assert bank.published() == [("SENT", 2)]
    row = await bank.row_of(instruction(payee=PAYEE))
    assert row["due_at"] == bank.clock.now() + timedelta(seconds=600)


async def test_an_instruction_without_any_report_goes_to_people_and_is_published_no_more(bank):
    for _ in range(MOST_PUBLICATIONS + 2):
        await bank.an_hour_later()
        await bank.publisher().work_slice()
    assert len(bank.broker.topics[TOPIC]) == MOST_PUBLICATIONS
    assert bank.published() == [("SENT", 2), ("RECONCILE", 3)]
    (case,) = await bank.list_cases()
    assert case["kind"] == "OUTCOME_UNKNOWN"
    await bank.hear(from_bank(report()))
    assert bank.published()[-1] == ("SETTLED", 4)
    assert await bank.list_cases() == []


async def test_a_report_starts_the_count_of_publications_again(bank):
    for _ in range(MOST_PUBLICATIONS + 2):
        await bank.an_hour_later()
        await bank.publisher().work_slice()
        await bank.hear(from_bank(report(1, "PENDING")))
    assert bank.published() == [("SENT", 2)]


async def test_instructions_of_a_suspended_partner_wait_and_go_out_in_order(world):
    profile = kafka_partner()
    await world.add_partner(profile)
    await world.change_partner(replace(profile, suspended_at=NOW))
    for number in (3, 1, 2):
        await world.request(requested(number, PAYEE))
        world.clock.pass_time(seconds=1)
    await world.publisher().work_slice()
    assert (world.broker.topics[TOPIC], world.published()) == ([], [])
    await world.change_partner(profile)
    assert await world.publisher().work_slice() == 3
    uetrs = [record.key.decode() for record in world.broker.topics[TOPIC]]
    assert uetrs == [str(requested(number).uetr) for number in (3, 1, 2)]
    assert world.published() == [("SENT", 2)] * 3


async def test_a_report_on_what_was_never_published_is_refused(world):
    await world.add_partner(kafka_partner(suspended_at=NOW))
    await world.change_partner(kafka_partner(suspended_at=NOW))
    await world.request(requested(payee=PAYEE))
    await world.hear(from_bank(report()))
    assert (world.refused(), world.published()) == (["unknown_uetr"], [])


async def test_a_report_counts_against_a_worker_that_holds_the_instruction(bank):
    await bank.an_hour_later()
    async with bank.database.transaction() as tx:
        (due,) = await bank.publications().claim(tx, 1, 10.0)
    await bank.hear(from_bank(report()))
    async with bank.database.transaction() as tx:
        assert await bank.publications().still_mine(tx, [due]) == set()
    assert bank.published() == [("SENT", 2), ("SETTLED", 3)]
