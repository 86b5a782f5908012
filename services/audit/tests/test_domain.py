from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.domain import (
    AUDITED,
    Origin,
    entry_of,
)
from payment_schemas.events.base import PaymentEvent
from payment_schemas.events.confirmation import (
    ConfirmAnswered,
    ConfirmRequested,
    PaymentConfirmed,
    PaymentDeclined,
    PaymentStatusChanged,
    ReviewOpened,
)
from payment_schemas.events.otp import (
    Challenged,
    ChallengeRequested,
    VerificationRequested,
    Verified,
)
from payment_schemas.events.record import AuditRecorded, NotificationDelivered
from payment_schemas.events.risk import AssessmentRequested, RiskAssessed
from payment_schemas.events.settlement import SettlementRequested, SettlementUpdated
from payment_schemas.invariants import Timeline, faults_of_entries
from payment_schemas.invariants.timeline import STEPS
from payment_schemas.registry import EVENTS
from testkit.events import NOON, PAYMENT, SEALED_CODE, event_of

ORIGIN = Origin(UUID(int=1), NOON, "payment.confirmed.v1", 3, 17)


@pytest.mark.parametrize(
    ("event", "fields", "name"),
    [
        (AssessmentRequested, {}, "PAYMENT_REQUESTED"),
        (RiskAssessed, {}, "RISK_ASSESSED"),
        (ChallengeRequested, {}, "OTP_REQUESTED"),
        (Challenged, {}, "OTP_CHALLENGED"),
        (VerificationRequested, {}, "OTP_SUBMITTED"),
        (Verified, {}, "OTP_VERIFIED"),
        (PaymentConfirmed, {}, "PAYMENT_CONFIRMED"),
        (PaymentDeclined, {}, "PAYMENT_DECLINED"),
        (ReviewOpened, {}, "REVIEW_OPENED"),
        (SettlementRequested, {}, "SETTLEMENT_REQUESTED"),
        (SettlementUpdated, {"status": "SENT"}, "SETTLEMENT_SENT"),
        (SettlementUpdated, {"status": "SETTLED"}, "SETTLEMENT_SETTLED"),
        (SettlementUpdated, {"status": "REJECTED"}, "SETTLEMENT_REJECTED"),
        (SettlementUpdated, {"status": "UNKNOWN"}, "SETTLEMENT_UNKNOWN"),
        (SettlementUpdated, {"status": "RECONCILE"}, "SETTLEMENT_RECONCILE"),
        (NotificationDelivered, {"result": "delivered"}, "NOTIFICATION_DELIVERED"),
        (NotificationDelivered, {"result": "refused"}, "NOTIFICATION_REFUSED"),
        (NotificationDelivered, {"result": "expired"}, "NOTIFICATION_EXPIRED"),
        (AuditRecorded, {"action": "KEY_ROTATED"}, "KEY_ROTATED"),
    ],
)
def test_every_event_has_its_name_in_the_log(event, fields, name):
    assert entry_of(event_of(event, **fields), ORIGIN).event == name


def test_every_event_is_audited_but_what_the_edge_sends_and_what_owners_see():
    assert set(EVENTS) - set(AUDITED) == {ConfirmRequested, ConfirmAnswered, PaymentStatusChanged}


def test_the_entry_of_a_confirmed_payment_has_all_fields():
    entry = entry_of(event_of(PaymentConfirmed), ORIGIN)

    assert (entry.payment_id, entry.tx_id, entry.user_id) == (PAYMENT, "tx-987", "usr-456")
    assert entry.reference == "7K2M9QX4TD"
    assert entry.origin is ORIGIN
    assert entry.metadata == {
        "version": 5,
        "amount_minor": 520_000,
        "currency": "USD",
        "from_account": "acc-1",
        "to_account": "payee-xyz",
        "settlement_method": "ACH",
        "risk_score": 85,
        "confirmed_at": "2026-03-02T12:00:00Z",
        "ip_address": "192.0.2.7",
        "device_fingerprint": "dev-1",
        "country": "US",
    }


def test_the_entry_of_a_score_has_every_factor_and_both_screenings():
    metadata = entry_of(event_of(RiskAssessed), ORIGIN).metadata

    assert metadata["risk_score"] == 85
    assert "score" not in metadata
    assert metadata["factors"][0] == {"name": "amount", "points": 45}
    assert [one["party"] for one in metadata["screenings"]] == ["debtor", "creditor"]


def test_unknown_values_are_left_out():
    declined = event_of(PaymentDeclined, risk_score=None, context={"ip_address": "192.0.2.7"})

    metadata = entry_of(declined, ORIGIN).metadata

    assert metadata["ip_address"] == "192.0.2.7"
    assert {"risk_score", "device_fingerprint", "country"}.isdisjoint(metadata)


def test_the_entry_of_an_operators_action_names_the_actor_and_no_customer():
    entry = entry_of(event_of(AuditRecorded, metadata={"actor": "someone else"}), ORIGIN)

    assert (entry.payment_id, entry.tx_id, entry.user_id) == (None, None, None)
    assert entry.metadata == {
        "actor": "ops",
        "action": "DEAD_LETTER_REDRIVEN",
        "about": "settlement-queue-dlq/0/7",
    }


@pytest.mark.parametrize("event", AUDITED)
def test_no_entry_contains_a_sealed_value(event):
    entry = entry_of(event_of(event), ORIGIN)

    assert "sealed_code" not in entry.metadata
    assert SEALED_CODE not in repr(entry)
    assert "***" not in repr(entry)


def timeline(*entries):
    names = tuple(name for name, _ in entries)
    return Timeline(str(PAYMENT), names, tuple(version for _, version in entries))


REQUESTED = ("PAYMENT_REQUESTED", 1)
SCORED = ("RISK_ASSESSED", None)
CONFIRMED = ("PAYMENT_CONFIRMED", 2)
DECLINED = ("PAYMENT_DECLINED", 3)
QUEUED = ("SETTLEMENT_REQUESTED", None)
SETTLED = ("SETTLEMENT_SETTLED", 2)


@pytest.mark.parametrize(
    ("entries", "broken"),
    [
        pytest.param((REQUESTED,), [], id="a waiting payment"),
        pytest.param((REQUESTED, SCORED, CONFIRMED, QUEUED, SETTLED), [], id="a settled payment"),
        pytest.param((REQUESTED, SCORED, ("PAYMENT_DECLINED", 2)), [], id="declined"),
        pytest.param((("PAYMENT_DECLINED", 1),), [], id="declined for lack of funds"),
        pytest.param(
            (SCORED, CONFIRMED, QUEUED),
            [("I9", "no entry of the first version")],
            id="the first step is missing",
        ),
        pytest.param(
            (REQUESTED, SCORED, CONFIRMED, QUEUED, DECLINED),
            [("I4", "confirmed and declined")],
            id="confirmed and declined",
        ),
        pytest.param(
            (REQUESTED, SCORED, CONFIRMED, QUEUED, SETTLED, ("SETTLEMENT_REJECTED", 3)),
            [("I2", "settled and rejected")],
            id="two outcomes at the bank",
        ),
        pytest.param(
            (REQUESTED, SCORED, ("PAYMENT_DECLINED", 1)),
            [("I9", "version 1 has more than one row")],
            id="one version twice",
        ),
        pytest.param((SCORED,), [("I9", "no entry of the first version")], id="a score alone"),
        pytest.param(
            (REQUESTED, CONFIRMED, QUEUED),
            [("I12", "confirmed without a risk result")],
            id="never scored",
        ),
        pytest.param(
            (REQUESTED, SCORED, CONFIRMED),
            [("I9", "confirmed, and its settlement was not requested")],
            id="settlement never requested",
        ),
    ],
)
def test_a_broken_invariant_of_a_timeline_is_named(entries, broken):
    found = faults_of_entries(timeline(*entries), is_quiet=True)

    assert [(one.invariant, one.details) for one in found] == broken


@pytest.mark.parametrize("entries", [(SCORED,), (REQUESTED, CONFIRMED), (REQUESTED, SCORED)])
def test_a_recent_payment_may_lack_entries(entries):
    assert faults_of_entries(timeline(*entries), is_quiet=False) == []


def test_versions_of_settlements_do_not_conflict_with_the_payments():
    entries = (REQUESTED, SCORED, CONFIRMED, QUEUED, ("SETTLEMENT_SENT", 1), SETTLED)

    assert faults_of_entries(timeline(*entries), is_quiet=True) == []


@given(st.sampled_from(AUDITED), st.uuids(), st.text(min_size=1, max_size=128), st.integers(0, 99))
def test_an_entry_repeats_the_ids_of_its_event_and_nothing_of_another(event, payment, user, score):
    is_about_a_payment = issubclass(event, PaymentEvent)
    fields = {"payment_id": payment, "user_id": user} if is_about_a_payment else {}
    if "risk_score" in event.model_fields:
        fields["risk_score"] = score

    entry = entry_of(event_of(event, **fields), replace(ORIGIN, offset=score))

    assert entry.origin.offset == score
    if is_about_a_payment:
        assert (entry.payment_id, entry.user_id) == (payment, user)
    if "risk_score" in fields:
        assert entry.metadata["risk_score"] == score
    assert {"payment_id", "user_id", "transaction_id", "reference"}.isdisjoint(entry.metadata)


NAMES = st.sampled_from(
    [
        *filter(None, STEPS),
        "RISK_ASSESSED",
        "SETTLEMENT_REQUESTED",
        "SETTLEMENT_SETTLED",
        "SETTLEMENT_REJECTED",
    ]
)


@given(st.lists(st.tuples(NAMES, st.integers(1, 5)), max_size=12), st.randoms())
def test_the_violations_do_not_depend_on_the_order_of_entries(entries, chance):
    shuffled = list(entries)
    chance.shuffle(shuffled)

    assert faults_of_entries(timeline(*entries), is_quiet=True) == faults_of_entries(
        timeline(*shuffled), is_quiet=True
    )


@given(st.lists(st.tuples(NAMES, st.integers(1, 5)), max_size=12))
def test_a_violation_stays_when_the_payment_is_quiet(entries):
    early = faults_of_entries(timeline(*entries), is_quiet=False)

    assert set(early) <= set(faults_of_entries(timeline(*entries), is_quiet=True))
