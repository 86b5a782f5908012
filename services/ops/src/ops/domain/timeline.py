"""Whether a payment's entries in the audit log tell its steps: all of them, once, legal ones only.

Five entries carry the payment's own version. Between two of them one step may lie that no versioned
entry tells: to AWAITING_CODE, told by otp's entry. So the next versioned entry is one or two
versions on, as the contract's table of states allows.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ops.domain.rows import Payment, Timeline

REQUESTED = "PAYMENT_REQUESTED"
OTP_REQUESTED = "OTP_REQUESTED"
OTP_SUBMITTED = "OTP_SUBMITTED"
CONFIRMED = "PAYMENT_CONFIRMED"
DECLINED = "PAYMENT_DECLINED"
START = ""

Steps = frozenset[int]
_ONE, _TWO, _EITHER = frozenset({1}), frozenset({2}), frozenset({1, 2})

STEPS: Mapping[str, Mapping[str, Steps]] = {
    # Declined at once, for want of funds: no risk was asked for.
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
"""From one versioned entry to the next: how many versions on it may be."""

ENDS: Mapping[str, Mapping[str, int]] = {
    START: {},
    REQUESTED: {"AWAITING_RISK": 0},
    OTP_REQUESTED: {"CHALLENGING": 0, "AWAITING_CODE": 1},
    OTP_SUBMITTED: {"VERIFYING": 0, "AWAITING_CODE": 1},
    CONFIRMED: {"CONFIRMED": 0},
    DECLINED: {"DECLINED": 0},
}
"""The status behind the last versioned entry: how many versions on the payment then is."""

_TOLD_BY = {OTP_REQUESTED: ("OTP_CHALLENGED", "OTP_REFUSED"), OTP_SUBMITTED: ("OTP_VERIFIED",)}
"""Which entries tell of the step to AWAITING_CODE that follows."""

_RANK = {START: 0, REQUESTED: 1, OTP_REQUESTED: 2, OTP_SUBMITTED: 2, CONFIRMED: 3, DECLINED: 3}
"""A payment goes on to a higher one, or round among its codes; never back."""

_SETTLEMENT = frozenset(
    f"SETTLEMENT_{status}" for status in ("SENT", "UNKNOWN", "RECONCILE", "SETTLED", "REJECTED")
)
"""Entries that carry the settlement instruction's version."""

Told = tuple[str, int | None]
"""An entry, and the version that it carries."""


@dataclass(frozen=True, slots=True)
class Fault:
    """An invariant that a payment breaks, and how."""

    invariant: str
    details: str


def faults_of(timeline: Timeline | None, payment: Payment) -> list[Fault]:
    """Say what is wrong with a payment's entries."""
    if timeline is None:
        return [Fault("I9", "the audit log knows nothing of it")]
    pairs = list(zip(timeline.events, timeline.versions, strict=True))
    told = sorted((version or 0, event) for event, version in pairs if event in STEPS)
    repeated = [version for version, count in Counter(v for v, _ in told).items() if count > 1]
    if repeated:
        return [Fault("I9", f"version {repeated[0]} has more than one row")]
    faults = [*_walk(told), *_end(told, payment), *_silent(told, timeline, payment)]
    return faults + _settlement_rows(timeline, payment) + _moved_back(pairs, payment)


def _moved_back(told: Iterable[Told], payment: Payment) -> list[Fault]:
    """Compare confirm's settlement status with the highest version that settlement has told.

    Entries may come in any order, because a dead writer's are sent later; what they have made of
    the payment may not depend on it.
    """
    settlement = [(version or 0, event) for event, version in told if event in _SETTLEMENT]
    highest, event = max(settlement, default=(0, ""))
    at, status = payment.settlement_version, f"SETTLEMENT_{payment.settlement_status}"
    if at < highest or (at == highest and event not in ("", status)):
        return [Fault("I6", f"{status} at version {at}, and {event} was told at {highest}")]
    return []


def _walk(told: list[tuple[int, str]]) -> Iterator[Fault]:
    """Go from entry to entry; a step the table does not know, or one that misses a row, is told."""
    before, last = 0, START
    for version, event in told:
        legal = STEPS[last].get(event)
        gap = version - before
        if _RANK[event] < _RANK[last] or last in (CONFIRMED, DECLINED):
            yield Fault("I6", f"from {last} back to {event} at version {version}")
        elif legal is None and gap <= 2:
            yield Fault("I4", f"no way from {last or 'nothing'} to {event} at version {version}")
        elif legal is None or gap not in legal:
            yield Fault("I9", f"no row for a step between versions {before} and {version}")
        before, last = version, event


def _end(told: list[tuple[int, str]], payment: Payment) -> Iterator[Fault]:
    """Compare where the entries end with where the payment is."""
    version, event = told[-1] if told else (0, START)
    beyond = ENDS[event].get(payment.status)
    if beyond is None or version + beyond != payment.version:
        yield Fault(
            "I9",
            f"{payment.status} at version {payment.version}, but the log ends with"
            f" {event or 'nothing'} at version {version}",
        )


def _silent(told: list[tuple[int, str]], timeline: Timeline, payment: Payment) -> Iterator[Fault]:
    """Every step to AWAITING_CODE needs the entry of otp that brought it about."""
    rows = Counter(timeline.events)
    ends = [*(version for version, _ in told[1:]), payment.version + 1]
    for event, telling in _TOLD_BY.items():
        steps = sum(
            end - version == 2
            for (version, name), end in zip(told, ends, strict=False)
            if name == event
        )
        if (told_by := sum(rows[name] for name in telling)) < steps:
            yield Fault(
                "I9", f"{steps} steps need {' or '.join(telling)}, there are {told_by} rows"
            )


def _settlement_rows(timeline: Timeline, payment: Payment) -> list[Fault]:
    """Compare the rows of settlement with what confirm knows of it."""
    rows = Counter(timeline.events)
    wanted = {
        "SETTLEMENT_REQUESTED": int(payment.status == "CONFIRMED"),
        "SETTLEMENT_SETTLED": int(payment.settlement_status == "SETTLED"),
        "SETTLEMENT_REJECTED": int(payment.settlement_status == "REJECTED"),
    }
    return [
        Fault("I9", f"{rows[event]} rows {event}, there should be {count}")
        for event, count in wanted.items()
        if rows[event] != count
    ]
