"""Whether a run counts: nothing lost, nothing doubled, everything at rest. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.ledger_snapshot import Stored
from bench.operations import SUCCESS, Operation, Outcome

REST_WITHIN_S = 10.0
_SHOWN = 3
_SHOW = "`countersign show {}` tells what became of it"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What clients saw and what the system holds, once it is at rest."""

    log: Sequence[Operation]
    stored: Mapping[str, Stored]
    """By transaction."""
    records: Mapping[str, int]
    """New ones by topic."""
    rest_s: float
    """How long after the load all lag was gone and every payment had ended, notification apart."""
    balance_minor: int
    """The sum of all accounts, ours included."""
    in_flight_minor: int


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a run does not count, and what to do next."""

    what: str
    next_step: str
    is_slowness: bool = False
    """Nothing is wrong with what was done, only with when."""

    def __str__(self) -> str:
        return f"{self.what}; next: {self.next_step}"


def faults_of(evidence: Evidence) -> list[Fault]:
    """Hold a run against what must be true of it."""
    return [
        *_nothing_done(evidence),
        *_lost(evidence),
        *_unfinished(evidence),
        *_doubled(evidence),
        *_contradicted(evidence),
        *_records_missing(evidence),
        *_not_at_rest(evidence),
    ]


def _nothing_done(evidence: Evidence) -> Iterator[Fault]:
    if not any(one.outcome is Outcome.OK for one in evidence.log):
        statuses = sorted({one.status for one in evidence.log})
        yield Fault(
            f"no operation of {len(evidence.log)} succeeded (statuses {statuses})",
            "read the gateway's log",
        )


def _lost(evidence: Evidence) -> Iterator[Fault]:
    told = {one.transaction_id for one in evidence.log if one.acknowledged}
    yield from _about("acknowledged and not stored", told - evidence.stored.keys())


def _unfinished(evidence: Evidence) -> Iterator[Fault]:
    open_ones = {
        name
        for name, payment in evidence.stored.items()
        if not _is_final(payment) and not _waits_for_its_customer(payment, name, evidence)
    }
    yield from _about("not final", open_ones)


def _is_final(payment: Stored) -> bool:
    if payment.status == "DECLINED":
        return True
    return payment.status == "CONFIRMED" and payment.settlement_status == "SETTLED"


def _waits_for_its_customer(payment: Stored, name: str, evidence: Evidence) -> bool:
    """A first call that got no answer is followed by no code."""
    if payment.status not in ("AWAITING_CODE", "CHALLENGING"):
        return False
    return not any(one.step == "code" for one in evidence.log if one.transaction_id == name)


def _doubled(evidence: Evidence) -> Iterator[Fault]:
    wrong = {
        name
        for name, payment in evidence.stored.items()
        if (payment.holds, payment.settles) != _journals_due(payment)
    }
    yield from _about("settled other than once", wrong)
    asked_for = {one.transaction_id for one in evidence.log}
    yield from _about("stored and never asked for", evidence.stored.keys() - asked_for)


def _journals_due(payment: Stored) -> tuple[int, int]:
    """Return how often money must have been held and settled."""
    return (payment.status == "CONFIRMED", payment.settlement_status == "SETTLED")


def _contradicted(evidence: Evidence) -> Iterator[Fault]:
    told: dict[str, set[bytes]] = defaultdict(set)
    for one in evidence.log:
        if one.status == SUCCESS:
            told[one.transaction_id].add(one.body)
    yield from _about(
        "answered in two ways", {name for name, ways in told.items() if len(ways) > 1}
    )
    declined = {name for name, one in evidence.stored.items() if one.status == "DECLINED"}
    yield from _about("told SUCCESS and declined", declined & told.keys())


def _records_missing(evidence: Evidence) -> Iterator[Fault]:
    for topic, least, most in _ratios(evidence):
        found = evidence.records.get(topic, 0)
        if not least <= found <= most:
            expected = str(least) if least == most else f"{least} to {most}"
            yield Fault(
                f"{topic} has {found} new records instead of {expected}",
                "compare the payments of the run with `countersign check` and the log of the"
                " topic's owner, and look for swept outbox rows",
            )


def _ratios(evidence: Evidence) -> Iterator[tuple[str, int, int]]:
    """Return how many records each topic must have been given, at least and at most."""
    payments = evidence.stored.values()
    acknowledged = sum(one.acknowledged for one in evidence.log)
    confirmed = sum(one.status == "CONFIRMED" for one in payments)
    scored = sum(one.status != "AWAITING_RISK" for one in payments)
    steps = sum(one.settlement_version for one in payments)
    yield "payment.confirm-requested.v1", acknowledged, len(evidence.log)
    yield "payment.confirm-answered.v1", acknowledged, len(evidence.log)
    yield "risk.assessment-requested.v1", len(payments), len(payments)
    yield "risk.assessed.v1", scored, scored
    yield "payment.confirmed.v1", confirmed, confirmed
    yield "settlement-queue", confirmed, confirmed
    yield "settlement.updated.v1", confirmed, max(confirmed, steps)
    codes = sum(one.step == "code" for one in evidence.log)
    challenged = evidence.records.get("otp.challenge-requested.v1", 0)
    yield "otp.challenged.v1", challenged, challenged
    yield "otp.verified.v1", 0, codes


def _not_at_rest(evidence: Evidence) -> Iterator[Fault]:
    if evidence.rest_s > REST_WITHIN_S:
        yield Fault(
            f"lag was gone {evidence.rest_s:.1f} s after the load, not within {REST_WITHIN_S:.0f}",
            "see that nothing else runs on the machine; if so, offer less",
            is_slowness=True,
        )
    for what, minor in (
        ("the balances of all accounts sum to", evidence.balance_minor),
        ("in flight is", evidence.in_flight_minor),
    ):
        if minor:
            yield Fault(f"{what} {minor} instead of 0", "run `countersign check`")


def _about(what: str, names: set[str]) -> Iterator[Fault]:
    if names:
        shown = sorted(names)[:_SHOWN]
        yield Fault(
            f"{len(names)} payments {what}, such as {', '.join(shown)}", _SHOW.format(shown[0])
        )
