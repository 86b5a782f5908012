"""Whether a run counts: no lost or duplicate payment, and all work has ended. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.operations import SUCCESS, Operation, Outcome
from bench.outcomes import PaymentOutcome

REST_WITHIN_S = 10.0
_LISTED = 3
_SHOW_COMMAND = "run `countersign show {}`"


@dataclass(frozen=True, slots=True)
class Evidence:
    """The clients' log and the services' events and checks, after all work has ended."""

    log: Sequence[Operation]
    payments: Mapping[str, PaymentOutcome]
    """By transaction."""
    rest_s: float
    """Seconds from the end of the load until no lag and no open payment, without notification."""
    violations: Sequence[str]
    """Of ledger and settlement, by their own checks of the run's changes."""


@dataclass(frozen=True, slots=True)
class Fault:
    """The reason why a run does not count, and the next step."""

    what: str
    next_step: str
    is_slowness: bool = False
    """The results are correct, but late."""

    def __str__(self) -> str:
        return f"{self.what}; next: {self.next_step}"


@dataclass(frozen=True, slots=True)
class Ending:
    """The state of the messages and the result of the final check."""

    messages: dict[str, int]
    waiting: int
    """Unsent messages at the end of the load."""
    seconds: float
    """Seconds until they were sent."""
    checked: int
    faults: Sequence[Fault]


def faults_of(evidence: Evidence) -> list[Fault]:
    """Return the faults of a run."""
    return [
        *_nothing_done(evidence),
        *_lost(evidence),
        *_unfinished(evidence),
        *_doubled(evidence),
        *_contradicted(evidence),
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
    yield from _about("acknowledged but not stored", acknowledged - evidence.payments.keys())


def _unfinished(evidence: Evidence) -> Iterator[Fault]:
    open_ones = {
        name
        for name, payment in evidence.payments.items()
        if not (payment.declined or payment.settled)
        and not _is_waiting_for_customer(payment, name, evidence)
    }
    yield from _about("not final", open_ones)


def _is_waiting_for_customer(payment: PaymentOutcome, name: str, evidence: Evidence) -> bool:
    """A first call without a response has no second call with a code."""
    if payment.confirmed or not payment.scored:
        return False
    return not any(one.step == "code" for one in evidence.log if one.transaction_id == name)


def _doubled(evidence: Evidence) -> Iterator[Fault]:
    wrong = {name for name, payment in evidence.payments.items() if not _ends_once(payment)}
    yield from _about("stored, scored, confirmed, declined or settled other than once", wrong)
    asked_for = {one.transaction_id for one in evidence.log}
    yield from _about("stored without a request", evidence.payments.keys() - asked_for)


def _ends_once(payment: PaymentOutcome) -> bool:
    ended = payment.confirmed + payment.declined
    once = payment.stored == 1 and payment.scored <= 1 and ended <= 1
    return once and payment.settled <= payment.requested == payment.confirmed


def _contradicted(evidence: Evidence) -> Iterator[Fault]:
    acknowledged: dict[str, set[bytes]] = defaultdict(set)
    for one in evidence.log:
        if one.status == SUCCESS:
            acknowledged[one.transaction_id].add(one.body)
    yield from _about(
        "with two different responses",
        {name for name, ways in acknowledged.items() if len(ways) > 1},
    )
    declined = {name for name, one in evidence.payments.items() if one.declined}
    yield from _about("with a SUCCESS response, but declined", declined & acknowledged.keys())


def _not_at_rest(evidence: Evidence) -> Iterator[Fault]:
    if evidence.rest_s > REST_WITHIN_S:
        yield Fault(
            f"lag was gone {evidence.rest_s:.1f} s after the load, not within {REST_WITHIN_S:.0f}",
            "use an idle machine, or a lower rate",
            is_slowness=True,
        )
    for violation in evidence.violations[:_LISTED]:
        yield Fault(violation, "run `countersign check`")


def _about(what: str, names: set[str]) -> Iterator[Fault]:
    if names:
        shown = sorted(names)[:_LISTED]
        yield Fault(
            f"{len(names)} payments {what}, such as {', '.join(shown)}",
            _SHOW_COMMAND.format(shown[0]),
        )
