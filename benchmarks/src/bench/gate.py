"""Whether a run counts: no lost or duplicate payment, and all work has ended. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.ledger_snapshot import StoredPayment
from bench.operations import SUCCESS, Operation, Outcome

REST_WITHIN_S = 10.0
_LISTED = 3
_SHOW_COMMAND = "run `countersign show {}`"


@dataclass(frozen=True, slots=True)
class Evidence:
    """The clients' log and the stored data, after all work has ended."""

    log: Sequence[Operation]
    stored: Mapping[str, StoredPayment]
    """By transaction."""
    records: Mapping[str, int]
    """New records by topic."""
    rest_s: float
    """Seconds from the end of the load until no lag and no open payment, without notification."""
    balance_minor: int
    """The sum of all accounts, internal ones included."""
    in_flight_minor: int


@dataclass(frozen=True, slots=True)
class Fault:
    """The reason why a run does not count, and the next step."""

    what: str
    next_step: str
    is_slowness: bool = False
    """The results are correct, but late."""

    def __str__(self) -> str:
        return f"{self.what}; next: {self.next_step}"


def faults_of(evidence: Evidence) -> list[Fault]:
    """Return the faults of a run."""
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
    acknowledged = {one.transaction_id for one in evidence.log if one.acknowledged}
    yield from _about("acknowledged but not stored", acknowledged - evidence.stored.keys())


def _unfinished(evidence: Evidence) -> Iterator[Fault]:
    open_ones = {
        name
        for name, payment in evidence.stored.items()
        if not _is_final(payment) and not _is_waiting_for_customer(payment, name, evidence)
    }
    yield from _about("not final", open_ones)


def _is_final(payment: StoredPayment) -> bool:
    if payment.status == "DECLINED":
        return True
    return payment.status == "CONFIRMED" and payment.settlement_status == "SETTLED"


def _is_waiting_for_customer(payment: StoredPayment, name: str, evidence: Evidence) -> bool:
    """A first call without a response has no second call with a code."""
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
    yield from _about("stored without a request", evidence.stored.keys() - asked_for)


def _journals_due(payment: StoredPayment) -> tuple[int, int]:
    """Return the expected numbers of holds and settlements."""
    return (payment.status == "CONFIRMED", payment.settlement_status == "SETTLED")


def _contradicted(evidence: Evidence) -> Iterator[Fault]:
    acknowledged: dict[str, set[bytes]] = defaultdict(set)
    for one in evidence.log:
        if one.status == SUCCESS:
            acknowledged[one.transaction_id].add(one.body)
    yield from _about(
        "with two different responses",
        {name for name, ways in acknowledged.items() if len(ways) > 1},
    )
    declined = {name for name, one in evidence.stored.items() if one.status == "DECLINED"}
    yield from _about("with a SUCCESS response, but declined", declined & acknowledged.keys())


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
    """Yield the expected minimum and maximum of records for each topic."""
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
            "use an idle machine, or a lower rate",
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
        shown = sorted(names)[:_LISTED]
        yield Fault(
            f"{len(names)} payments {what}, such as {', '.join(shown)}",
            _SHOW_COMMAND.format(shown[0]),
        )
