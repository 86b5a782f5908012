"""Ops' rules for the audit log match confirm's table of states."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from confirm.domain.payment import FINAL, LEGAL, Status
from payment_schemas.invariants import Payment, Timeline
from payment_schemas.invariants.timeline import faults_of

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
VERSIONED = {
    Status.AWAITING_RISK: "PAYMENT_REQUESTED",
    Status.CHALLENGING: "OTP_REQUESTED",
    Status.VERIFYING: "OTP_SUBMITTED",
    Status.CONFIRMED: "PAYMENT_CONFIRMED",
    Status.DECLINED: "PAYMENT_DECLINED",
}
"""The entry with the payment's version for each step."""
REPORTED = {
    Status.CHALLENGING: ("OTP_CHALLENGED", "OTP_REFUSED"),
    Status.VERIFYING: ("OTP_VERIFIED",),
}


@st.composite
def lives(draw):
    """Walk confirm's table from the first request, at most fifteen steps."""
    walked = [Status.AWAITING_RISK]
    for _ in range(draw(st.integers(0, 15))):
        following = sorted(after for before, after in LEGAL if before is walked[-1])
        if not following:
            break
        walked.append(draw(st.sampled_from(following)))
    return walked


def logged(life):
    entries = []
    for version, status in enumerate(life, 1):
        if status in VERSIONED:
            entries.append((VERSIONED[status], version))
        else:
            names = REPORTED[life[version - 2]]
            entries.append((names[version % len(names)], None))
        if status is Status.CONFIRMED:
            entries.append(("SETTLEMENT_REQUESTED", None))
    return entries


def faults(life, entries):
    settlement = "PENDING" if life[-1] is Status.CONFIRMED else "NONE"
    stands = ("p", "t", str(life[-1]), len(life), settlement)
    payment = Payment(*stands, "u", 1, "USD", NOON, 0, "payee-xyz", 20, 0)
    names, versions = zip(*entries, strict=True) if entries else ((), ())
    return faults_of(Timeline("p", names, versions), payment)


@given(lives())
def test_every_legal_life_has_no_fault(life):
    assert faults(life, logged(life)) == []


@given(lives(), st.data())
def test_every_missing_step_is_a_fault(life, data):
    entries = logged(life)
    dropped = data.draw(st.integers(0, len(entries) - 1))
    assert faults(life, entries[:dropped] + entries[dropped + 1 :])


@given(lives().filter(lambda life: life[-1] in FINAL), st.sampled_from(list(VERSIONED.values())))
def test_nothing_follows_an_end(life, event):
    entries = [*logged(life), (event, len(life) + 1)]
    assert faults(life, entries)
