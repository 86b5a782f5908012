"""Compares a payment's audit entries with the legal steps: complete, unique, in order.

Five kinds of entry have the payment's version. The step to AWAITING_CODE has no versioned entry; an
entry of otp reports it. So the next versioned entry is one or two versions higher, as the
contract's table of states allows.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from payment_schemas.invariants.facts import Fault, Payment, Timeline

REQUESTED = "PAYMENT_REQUESTED"
OTP_REQUESTED = "OTP_REQUESTED"
OTP_SUBMITTED = "OTP_SUBMITTED"
CONFIRMED = "PAYMENT_CONFIRMED"
DECLINED = "PAYMENT_DECLINED"
START = ""

Steps = frozenset[int]
_ONE, _TWO, _EITHER = frozenset({1}), frozenset({2}), frozenset({1, 2})

STEPS: Mapping[str, Mapping[str, Steps]] = {
    # Declined at once for insufficient funds, without an assessment.
    START: {REQUESTED: _ONE, DECLINED: _ONE},
    REQUESTED: {OTP_REQUESTED: _ONE, CONFIRMED: _ONE, DECLINED: _ONE},
    OTP_REQUESTED: {OTP_SUBMITTED: _TWO, OTP_REQUESTED: _TWO, DECLINED: _EITHER},
    OTP_SUBMITTED: {
        CONFIRMED: _ONE,
        DECLINED: _EITHER,
        OTP_SUBMITTED: _TWO,
        OTP_REQUESTED: _TWO,
    },
    CONFIRMED: {},
    DECLINED: {},
}
"""From one versioned entry to the next: the allowed increases of the version."""

ENDS: Mapping[str, Mapping[str, int]] = {
    START: {},
    REQUESTED: {"AWAITING_RISK": 0},
    OTP_REQUESTED: {"CHALLENGING": 0, "AWAITING_CODE": 1},
    OTP_SUBMITTED: {"VERIFYING": 0, "AWAITING_CODE": 1},
    CONFIRMED: {"CONFIRMED": 0},
    DECLINED: {"DECLINED": 0},
}
"""After the last versioned entry: by status, the increase of the payment's version."""

_REPORTED_BY = {OTP_REQUESTED: ("OTP_CHALLENGED", "OTP_REFUSED"), OTP_SUBMITTED: ("OTP_VERIFIED",)}
"""The entries that report the following step to AWAITING_CODE."""

_RANK = {START: 0, REQUESTED: 1, OTP_REQUESTED: 2, OTP_SUBMITTED: 2, CONFIRMED: 3, DECLINED: 3}
"""The rank never decreases; codes may repeat at one rank."""

_SETTLEMENT = frozenset(
    f"SETTLEMENT_{status}" for status in ("SENT", "UNKNOWN", "RECONCILE", "SETTLED", "REJECTED")
)
"""Entries with the settlement instruction's version."""

VersionedEntry = tuple[str, int | None]
"""An entry and its version."""


def faults_of(timeline: Timeline | None, payment: Payment) -> list[Fault]:
    """Return the faults of a payment's entries."""
    if timeline is None:
        return [Fault("I9", "the audit log has no entry")]
    pairs = list(zip(timeline.events, timeline.versions, strict=True))
    entries = _steps(timeline)
    if repeated := _repeated(entries):
        return repeated
    faults = [
        *_walk(entries),
        *_end(entries, payment),
        *_unreported_steps(entries, timeline, payment),
    ]
    return faults + _settlement_rows(timeline, payment) + _moved_back(pairs, payment)


def faults_of_entries(timeline: Timeline, *, is_quiet: bool) -> list[Fault]:
    """Return the faults of a payment's entries by themselves.

    `is_quiet`: no entry was added recently, so that a missing one is not on its way.
    """
    names, entries = set(timeline.events), _steps(timeline)
    faults = _repeated(entries)
    if {CONFIRMED, DECLINED} <= names:
        faults.append(Fault("I4", "confirmed and declined"))
    if {"SETTLEMENT_SETTLED", "SETTLEMENT_REJECTED"} <= names:
        faults.append(Fault("I2", "settled and rejected"))
    return faults + (_missing(names, entries) if is_quiet else [])


def _missing(names: set[str], entries: list[tuple[int, str]]) -> list[Fault]:
    is_confirmed = CONFIRMED in names
    demands = {
        # The request, or, without funds at the start, the decline.
        ("I9", "no entry of the first version"): 1 not in {version for version, _ in entries},
        ("I12", "confirmed without a risk result"): is_confirmed and "RISK_ASSESSED" not in names,
        ("I9", "confirmed, and its settlement was not requested"): is_confirmed
        and "SETTLEMENT_REQUESTED" not in names,
    }
    return [Fault(*fault) for fault, is_broken in demands.items() if is_broken]


def _steps(timeline: Timeline) -> list[tuple[int, str]]:
    """Return the entries with the payment's version, in the order of versions."""
    pairs = zip(timeline.events, timeline.versions, strict=True)
    return sorted((version or 0, event) for event, version in pairs if event in STEPS)


def _repeated(entries: Iterable[tuple[int, str]]) -> list[Fault]:
    counts = Counter(version for version, _ in entries)
    return [
        Fault("I9", f"version {version} has more than one row")
        for version, count in counts.items()
        if count > 1
    ][:1]


def _moved_back(entries: Iterable[VersionedEntry], payment: Payment) -> list[Fault]:
    """Compare confirm's settlement status with the highest version that settlement has reported.

    Entries may arrive in any order, because a crashed writer's entries are published later. The
    payment's status must not depend on that order.
    """
    settlement = [(version or 0, event) for event, version in entries if event in _SETTLEMENT]
    highest, event = max(settlement, default=(0, ""))
    at, status = payment.settlement_version, f"SETTLEMENT_{payment.settlement_status}"
    if at < highest or (at == highest and event not in ("", status)):
        return [Fault("I6", f"{status} at version {at}, but {event} has version {highest}")]
    return []


def _walk(entries: list[tuple[int, str]]) -> Iterator[Fault]:
    """Check each step between entries: legal, and without a missing entry."""
    before, last = 0, START
    for version, event in entries:
        legal = STEPS[last].get(event)
        gap = version - before
        if _RANK[event] < _RANK[last] or last in (CONFIRMED, DECLINED):
            yield Fault("I6", f"from {last} back to {event} at version {version}")
        elif legal is None and gap <= 2:
            yield Fault("I4", f"no step from {last or 'nothing'} to {event} at version {version}")
        elif legal is None or gap not in legal:
            yield Fault("I9", f"no row for a step between versions {before} and {version}")
        before, last = version, event


def _end(entries: list[tuple[int, str]], payment: Payment) -> Iterator[Fault]:
    """Compare the last entry with the payment's state."""
    version, event = entries[-1] if entries else (0, START)
    beyond = ENDS[event].get(payment.status)
    if beyond is None or version + beyond != payment.version:
        yield Fault(
            "I9",
            f"{payment.status} at version {payment.version}, but the log ends with"
            f" {event or 'nothing'} at version {version}",
        )


def _unreported_steps(
    entries: list[tuple[int, str]], timeline: Timeline, payment: Payment
) -> Iterator[Fault]:
    """Require an entry of otp for every step to AWAITING_CODE."""
    rows = Counter(timeline.events)
    ends = [*(version for version, _ in entries[1:]), payment.version + 1]
    for event, telling in _REPORTED_BY.items():
        steps = sum(
            end - version == 2
            for (version, name), end in zip(entries, ends, strict=False)
            if name == event
        )
        if (reported := sum(rows[name] for name in telling)) < steps:
            yield Fault("I9", f"{steps} steps need {' or '.join(telling)}, there are {reported}")


def _settlement_rows(timeline: Timeline, payment: Payment) -> list[Fault]:
    """Compare settlement's entries with confirm's settlement status."""
    rows = Counter(timeline.events)
    wanted = {
        "SETTLEMENT_REQUESTED": int(payment.status == "CONFIRMED"),
        "SETTLEMENT_SETTLED": int(payment.settlement_status == "SETTLED"),
        "SETTLEMENT_REJECTED": int(payment.settlement_status == "REJECTED"),
    }
    return [
        Fault("I9", f"{rows[event]} rows {event}, expected {count}")
        for event, count in wanted.items()
        if rows[event] != count
    ]
