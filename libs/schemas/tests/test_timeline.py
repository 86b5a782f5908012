"""A payment's audit entries are complete, legal and up to date."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payment_schemas.invariants import Payment, Timeline
from payment_schemas.invariants.timeline import faults_of

PAYMENT = "9544115c-7ceb-5304-be5a-fc11d3062f5c"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)

REQUESTED = ("PAYMENT_REQUESTED", 1)
REQUESTED_AGAIN = ("PAYMENT_REQUESTED", 3)
SCORED = ("RISK_ASSESSED", None)
CHALLENGED = ("OTP_CHALLENGED", None)
VERIFIED = ("OTP_VERIFIED", None)
ASKED = ("SETTLEMENT_REQUESTED", None)
SENT = ("SETTLEMENT_SENT", 2)
SETTLED = ("SETTLEMENT_SETTLED", 3)
REJECTED = ("SETTLEMENT_REJECTED", 3)


def payment(status, version, settlement="NONE"):
    settled_at = 3 if settlement in ("SETTLED", "REJECTED") else 0
    messages_of = (PAYMENT, "tx-1", status, version, settlement, "uetr", 5000, "USD", NOON)
    return Payment(*messages_of, settled_at, "payee-xyz", 20, 0)


def found(entries, status, version, settlement="NONE"):
    timeline = Timeline(PAYMENT, tuple(e for e, _ in entries), tuple(v for _, v in entries))
    return [fault.invariant for fault in faults_of(timeline, payment(status, version, settlement))]


def otp(version):
    return ("OTP_REQUESTED", version)


def code(version):
    return ("OTP_SUBMITTED", version)


def confirmed(version):
    return ("PAYMENT_CONFIRMED", version)


def declined(version):
    return ("PAYMENT_DECLINED", version)


LIVES = [
    pytest.param([REQUESTED], ("AWAITING_RISK", 1), id="just begun"),
    pytest.param([declined(1)], ("DECLINED", 1), id="declined at once"),
    pytest.param([REQUESTED, SCORED, declined(2)], ("DECLINED", 2), id="sanctioned"),
    pytest.param([REQUESTED, SCORED, confirmed(2), ASKED], ("CONFIRMED", 2, "PENDING"), id="open"),
    pytest.param(
        [REQUESTED, SCORED, confirmed(2), ASKED, SENT, SETTLED],
        ("CONFIRMED", 2, "SETTLED"),
        id="settled",
    ),
    pytest.param(
        [REQUESTED, SCORED, confirmed(2), ASKED, REJECTED],
        ("CONFIRMED", 2, "REJECTED"),
        id="returned",
    ),
    pytest.param([REQUESTED, SCORED, otp(2)], ("CHALLENGING", 2), id="a code is being made"),
    pytest.param([REQUESTED, SCORED, otp(2), CHALLENGED], ("AWAITING_CODE", 3), id="asked for"),
    pytest.param(
        [REQUESTED, SCORED, otp(2), CHALLENGED, code(4)], ("VERIFYING", 4), id="being judged"
    ),
    pytest.param(
        [
            REQUESTED,
            SCORED,
            otp(2),
            CHALLENGED,
            code(4),
            VERIFIED,
            code(6),
            VERIFIED,
            confirmed(7),
            ASKED,
        ],
        ("CONFIRMED", 7, "UNKNOWN"),
        id="wrong, then right",
    ),
    pytest.param(
        [REQUESTED, SCORED, otp(2), CHALLENGED, otp(4), CHALLENGED, declined(6)],
        ("DECLINED", 6),
        id="two codes, none used",
    ),
    pytest.param(
        [REQUESTED, SCORED, otp(2), declined(3)], ("DECLINED", 3), id="otp never answered"
    ),
    pytest.param(
        [REQUESTED, otp(2), CHALLENGED, code(4), VERIFIED, declined(6)],
        ("DECLINED", 6),
        id="timed out after a wrong code",
    ),
    pytest.param(
        [SCORED, confirmed(2), ASKED, REQUESTED], ("CONFIRMED", 2, "SENT"), id="clocks differ"
    ),
    pytest.param(
        [REQUESTED, otp(2), CHALLENGED, CHALLENGED, declined(3), VERIFIED],
        ("DECLINED", 3),
        id="late answers of otp changed nothing",
    ),
]


@pytest.mark.parametrize(("entries", "state"), LIVES)
def test_a_legal_timeline_has_no_fault(entries, state):
    assert found(entries, *state) == []


@pytest.mark.parametrize(
    ("entries", "state", "invariants"),
    [
        pytest.param(
            [REQUESTED, code(2)], ("VERIFYING", 2), ["I4"], id="a code without a challenge"
        ),
        pytest.param([confirmed(1), ASKED], ("CONFIRMED", 1, "SENT"), ["I4"], id="never requested"),
        pytest.param(
            [REQUESTED, declined(2), confirmed(3), ASKED],
            ("CONFIRMED", 3, "PENDING"),
            ["I6"],
            id="out of a final state",
        ),
        pytest.param(
            [REQUESTED, confirmed(2), ASKED, ("PAYMENT_DECLINED", 2)],
            ("CONFIRMED", 2, "SENT"),
            ["I9"],
            id="one version twice",
        ),
        pytest.param([confirmed(2), ASKED], ("CONFIRMED", 2, "SENT"), ["I4"], id="first row lost"),
        pytest.param([REQUESTED], ("DECLINED", 2), ["I9"], id="last row lost"),
        pytest.param(
            [REQUESTED, code(4), CHALLENGED, VERIFIED, confirmed(5), ASKED],
            ("CONFIRMED", 5, "SENT"),
            ["I9"],
            id="the challenge's row lost",
        ),
        pytest.param([REQUESTED, otp(2)], ("AWAITING_CODE", 3), ["I9"], id="unreported challenge"),
        pytest.param(
            [REQUESTED, otp(2), CHALLENGED, code(3), VERIFIED, declined(4)],
            ("DECLINED", 4),
            ["I9"],
            id="a version left out",
        ),
        pytest.param(
            [REQUESTED, confirmed(2)], ("CONFIRMED", 2, "PENDING"), ["I9"], id="never sent on"
        ),
        pytest.param(
            [REQUESTED, confirmed(2), ASKED, SETTLED, SETTLED],
            ("CONFIRMED", 2, "SETTLED"),
            ["I9"],
            id="settled twice",
        ),
        pytest.param(
            [REQUESTED, confirmed(2), ASKED, SETTLED],
            ("CONFIRMED", 2, "SENT"),
            ["I9", "I6"],
            id="confirm has not heard, or was moved back",
        ),
        pytest.param(
            [REQUESTED, declined(2), ASKED], ("DECLINED", 2), ["I9"], id="declined, and sent on"
        ),
        pytest.param(
            [REQUESTED, otp(2), REQUESTED_AGAIN], ("AWAITING_RISK", 3), ["I6"], id="begun again"
        ),
        pytest.param(
            [REQUESTED, confirmed(2), ASKED, SENT, ("SETTLEMENT_UNKNOWN", 3)],
            ("CONFIRMED", 2, "SENT"),
            ["I6"],
            id="a late SENT hides what is unknown",
        ),
        pytest.param([], ("AWAITING_RISK", 1), ["I9"], id="nothing but later entries"),
    ],
)
def test_a_fault_names_its_invariant(entries, state, invariants):
    assert found(entries, *state) == invariants


def test_a_payment_without_audit_entries_is_a_fault():
    [fault] = faults_of(None, payment("AWAITING_RISK", 1))
    assert fault.invariant == "I9"


@given(st.sampled_from([life.values for life in LIVES]), st.data())
def test_every_removed_entry_is_a_fault(life, data):
    entries, state = life
    dropped = data.draw(st.integers(0, len(entries) - 1))
    event, _ = entries[dropped]
    rest = entries[:dropped] + entries[dropped + 1 :]
    # An entry without a step of this payment may be missing: a score, a late answer, SENT.
    spare = event in ("RISK_ASSESSED", "SETTLEMENT_SENT", "OTP_CHALLENGED", "OTP_VERIFIED")
    assert found(rest, *state) or spare


@given(st.sampled_from([life.values for life in LIVES]), st.integers(-2, 2).filter(bool))
def test_the_last_entry_must_match_the_payment(life, moved):
    entries, (status, version, *settlement) = life
    assert found(entries, status, version + moved, *settlement)
