"""The invariants of one payment across confirm, settlement, audit and the bank."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ops.check.examination import movements_of
from ops.check.movements import Movements
from payment_schemas.invariants import (
    Assessment,
    Challenge,
    Challenges,
    Deliveries,
    Instruction,
    Movement,
    Payment,
    PaymentRecords,
    Timeline,
    faults_of,
)

UETR = "ec4cfc77-37ae-4632-bb06-3a330f5b780a"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
PAYMENT = Payment(
    payment_id="p",
    transaction_id="tx-1",
    status="CONFIRMED",
    version=2,
    settlement_status="SETTLED",
    uetr=UETR,
    amount_minor=5000,
    currency="USD",
    updated_at=NOON,
    settlement_version=3,
    to_account="payee-1",
    risk_score=85,
    challenge_number=1,
)
ACCEPTED = Challenge("ACCEPTED", 2, 5000, "USD", "payee-1")
ASSESSED = Assessment("p", "ASSESSED", 85, "clear", "verified", 2)
INSTRUCTION = Instruction("p", UETR, "first-bank", "SETTLED", 5000, "USD")
MOVEMENT = Movement(UETR, "first-bank", "tx-1", "50.00", "USD")
TIMELINE = Timeline(
    "p",
    ("PAYMENT_REQUESTED", "PAYMENT_CONFIRMED", "SETTLEMENT_REQUESTED", "SETTLEMENT_SETTLED"),
    (1, 2, None, 3),
)
SETTLED = PaymentRecords(
    PAYMENT,
    INSTRUCTION,
    TIMELINE,
    Challenges("p", (ACCEPTED,)),
    ASSESSED,
    Deliveries("p", ("code", "confirmed")),
    [MOVEMENT],
)


def with_settlement(status):
    events = TIMELINE.events[:3]
    versions = TIMELINE.versions[:3]
    if status in ("SETTLED", "REJECTED"):
        events, versions = (*events, f"SETTLEMENT_{status}"), (*versions, 3)
    return replace(
        SETTLED,
        payment=replace(PAYMENT, settlement_status=status),
        instruction=replace(INSTRUCTION, status=status),
        timeline=Timeline("p", events, versions),
        deliveries=messages_of("confirmed", *(["returned"] if status == "REJECTED" else [])),
    )


def messages_of(*templates):
    return Deliveries("p", templates)


def challenged(*challenges):
    return Challenges("p", challenges)


def declined():
    payment = replace(PAYMENT, status="DECLINED", settlement_status="NONE")
    timeline = Timeline("p", ("PAYMENT_REQUESTED", "PAYMENT_DECLINED"), (1, 2))
    return PaymentRecords(payment, None, timeline, None, None, messages_of("declined"), [])


def invariants(seen):
    return [fault.invariant for fault in faults_of(seen)]


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param(SETTLED, id="settled, moved once"),
        pytest.param(replace(SETTLED, movements=None), id="statement not asked for"),
        pytest.param(replace(with_settlement("REJECTED"), movements=[]), id="rejected"),
        pytest.param(replace(with_settlement("UNKNOWN"), movements=[]), id="unknown, unmoved"),
        pytest.param(with_settlement("UNKNOWN"), id="unknown, moved"),
        pytest.param(declined(), id="declined"),
    ],
)
def test_matching_rows_have_no_fault(seen):
    assert invariants(seen) == []


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        pytest.param(replace(SETTLED, movements=[]), ["I2"], id="settled, never moved"),
        pytest.param(replace(SETTLED, movements=[MOVEMENT] * 2), ["I2"], id="moved twice"),
        pytest.param(with_settlement("REJECTED"), ["I2"], id="rejected, and moved"),
        pytest.param(
            replace(with_settlement("UNKNOWN"), movements=[MOVEMENT] * 2),
            ["I2"],
            id="unknown, moved twice",
        ),
        pytest.param(replace(declined(), movements=[MOVEMENT]), ["I2"], id="declined, and moved"),
        pytest.param(
            replace(declined(), instruction=INSTRUCTION), ["I2"], id="declined, and instructed"
        ),
        pytest.param(replace(SETTLED, instruction=None), ["I1"], id="never instructed"),
        pytest.param(
            replace(SETTLED, instruction=replace(INSTRUCTION, status="SENT")),
            ["I1"],
            id="outcomes differ",
        ),
        pytest.param(
            replace(SETTLED, instruction=replace(INSTRUCTION, uetr="other")),
            ["I2"],
            id="another UETR",
        ),
        pytest.param(
            replace(SETTLED, instruction=replace(INSTRUCTION, amount_minor=4999)),
            ["I2"],
            id="another amount at settlement",
        ),
        pytest.param(
            replace(SETTLED, movements=[replace(MOVEMENT, amount="49.99")]),
            ["I2"],
            id="another amount at the bank",
        ),
        pytest.param(
            replace(SETTLED, movements=[replace(MOVEMENT, end_to_end_id="tx-2")]),
            ["I2"],
            id="another payment's id at the bank",
        ),
        pytest.param(
            replace(SETTLED, challenges=challenged(replace(ACCEPTED, attempts=6))),
            ["I10"],
            id="six attempts",
        ),
        pytest.param(
            replace(SETTLED, challenges=challenged(ACCEPTED, ACCEPTED)), ["I10"], id="two codes"
        ),
        pytest.param(
            replace(
                SETTLED,
                challenges=challenged(ACCEPTED, *[replace(ACCEPTED, state="LOCKED")] * 3),
            ),
            ["I10"],
            id="four challenges",
        ),
        pytest.param(replace(SETTLED, challenges=None), ["I10"], id="no code accepted"),
        pytest.param(
            replace(SETTLED, challenges=challenged(replace(ACCEPTED, amount_minor=1))),
            ["I10"],
            id="code for another amount",
        ),
        pytest.param(
            replace(SETTLED, challenges=challenged(replace(ACCEPTED, payee="mallory"))),
            ["I10"],
            id="code for another payee",
        ),
        pytest.param(replace(SETTLED, assessment=None), ["I12"], id="never assessed"),
        pytest.param(
            replace(SETTLED, assessment=replace(ASSESSED, status="WAITING")), ["I12"], id="waiting"
        ),
        pytest.param(
            replace(SETTLED, assessment=replace(ASSESSED, screenings=1)), ["I12"], id="one screened"
        ),
        pytest.param(
            replace(SETTLED, assessment=replace(ASSESSED, sanctions="hit")), ["I12"], id="a hit"
        ),
        pytest.param(
            replace(SETTLED, assessment=replace(ASSESSED, kyc=None)), ["I12"], id="no documents"
        ),
        pytest.param(
            replace(SETTLED, assessment=replace(ASSESSED, kyc="rejected")), ["I12"], id="refused"
        ),
        pytest.param(
            replace(SETTLED, assessment=replace(ASSESSED, score=1)), ["I12"], id="another score"
        ),
        pytest.param(replace(SETTLED, deliveries=None), ["I13"], id="no message"),
        pytest.param(
            replace(SETTLED, deliveries=messages_of("confirmed", "confirmed")),
            ["I13"],
            id="two messages",
        ),
        pytest.param(
            replace(SETTLED, deliveries=messages_of("confirmed", "declined")),
            ["I13"],
            id="another message",
        ),
        pytest.param(
            replace(SETTLED, payment=replace(PAYMENT, settlement_version=2)),
            ["I6"],
            id="moved back by what came late",
        ),
        pytest.param(replace(SETTLED, payment=None), ["I1"], id="unknown to confirm"),
        pytest.param(replace(SETTLED, timeline=None), ["I9"], id="unknown to audit"),
    ],
)
def test_a_mismatch_names_its_invariant(seen, expected):
    assert invariants(seen) == expected


def test_movements_are_found_by_uetr_and_unmatched_ones_remain():
    other = replace(MOVEMENT, uetr="other")
    with Movements() as movements:
        movements.add([MOVEMENT, other, MOVEMENT])
        assert movements.of(UETR) == [MOVEMENT, MOVEMENT]
        assert movements.of("unknown") == []
        assert list(movements.unmatched()) == [other]


@pytest.mark.parametrize(
    ("transport", "booked", "expected"),
    [
        pytest.param("http", [], [], id="a bank over HTTP shows its book"),
        pytest.param("kafka", [], None, id="a bank on Kafka may have its book elsewhere"),
        pytest.param("kafka", [MOVEMENT], [], id="or show it here"),
    ],
)
def test_a_transfer_counts_as_not_booked_only_where_the_banks_book_is_known(
    transport, booked, expected
):
    sent = replace(INSTRUCTION, partner=MOVEMENT.partner, transport=transport)
    seen = replace(SETTLED, payment=replace(PAYMENT, uetr="not booked"), instruction=sent)
    with Movements() as movements:
        movements.add(booked)
        assert movements_of(seen, movements) == expected
