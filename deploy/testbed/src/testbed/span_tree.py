"""The expected spans of a payment's trace: parent and child, each as `service name`."""

from collections.abc import Iterable

from local_stack.inventory import load_inventory
from local_stack.topics import load_topics

Hop = tuple[str, str]
"""A parent span and a child span."""
Chain = frozenset[Hop]

POST = "gateway POST /payment/confirm"
DELIVERY = "notification work delivery"
INSTRUCTION = "settlement work instruction"
STATUS = "payment.status-changed.v1"
ASSESSMENT = "risk process risk.assessment-requested.v1"
# The gateway continues in the span of the request; other groups may not run.
_CORE = {one.name for one in load_inventory().core} - {"gateway"}
_READERS = {one.name: _CORE & set(one.readers) for one in load_topics()}


def through(span: str, *names: str) -> Iterable[Hop]:
    """Return the hops along a chain of spans."""
    return zip((span, *names), names, strict=False)


def _sends(span: str, *topics: str) -> Chain:
    """Return the hops from a span through topics to all their consumers."""
    sends = {topic: f"{span.partition(' ')[0]} send {topic}" for topic in topics}
    written = {(span, send) for send in sends.values()}
    read = {(sends[t], f"{reader} process {t}") for t in topics for reader in _READERS[t]}
    return frozenset(written | read)


def _message(topic: str) -> Chain:
    """Return the hops to a customer's message."""
    begun = frozenset({(f"notification process {topic}", DELIVERY)})
    return begun | _sends(DELIVERY, "notification.delivered.v1")


def _confirmed(by: str, settled: Chain | None = None) -> Chain:
    """Return the hops from the confirming event to the end of the settlement."""
    topics = ("payment.confirm-answered.v1", "payment.confirmed.v1", STATUS, "settlement-queue")
    confirmed = _sends(f"confirm process {by}", *topics)
    confirmed |= _sends("confirm process settlement.updated.v1", STATUS)
    return confirmed | _message("payment.confirmed.v1") | (settled or _settled_over_http())


def _settled_over_http() -> Chain:
    begun = frozenset({("settlement process settlement-queue", INSTRUCTION)})
    return begun | _sends(INSTRUCTION, "settlement.updated.v1")


def _settled_over_kafka(bank: str) -> Chain:
    """Return the hops through a bank's own span, which its report continues."""
    asked, heard = "settlement process settlement-queue", f"settlement.reports.{bank}.v1"
    instruction = f"settlement send settlement.instructions.{bank}.v1"
    at_bank = f"{bank.replace('-', '_')} {bank} settlement.instruction.v1"
    reported = f"settlement process {heard}"
    hops = frozenset(through(asked, instruction, at_bank, reported))
    return hops | _sends(asked, "settlement.updated.v1") | _sends(reported, "settlement.updated.v1")


_REQUESTED = _sends(POST, "payment.confirm-requested.v1")
_ASSESSED = (
    _REQUESTED
    | _sends("confirm process payment.confirm-requested.v1", "risk.assessment-requested.v1")
    | _sends(ASSESSMENT, "risk.assessed.v1")
)
REPEATED = _REQUESTED | _sends(
    "confirm process payment.confirm-requested.v1", "payment.confirm-answered.v1"
)
PLAIN = _ASSESSED | _confirmed("risk.assessed.v1")
BY_KAFKA = _ASSESSED | _confirmed("risk.assessed.v1", _settled_over_kafka("south-bank"))
REJECTED = PLAIN | _message("settlement.updated.v1")
SCREENED_OUT = (
    _ASSESSED
    | _sends(
        "confirm process risk.assessed.v1",
        "payment.confirm-answered.v1",
        "payment.declined.v1",
        STATUS,
    )
    | _message("payment.declined.v1")
)
CODE_ASKED_FOR = (
    _ASSESSED
    | _sends("confirm process risk.assessed.v1", "otp.challenge-requested.v1")
    | _sends("otp process otp.challenge-requested.v1", "otp.challenged.v1")
    | _sends("confirm process otp.challenged.v1", "payment.confirm-answered.v1", STATUS)
    | _message("otp.challenged.v1")
)
CODE_GIVEN = (
    _REQUESTED
    | _sends(
        "confirm process payment.confirm-requested.v1", "otp.verification-requested.v1", STATUS
    )
    | _sends("otp process otp.verification-requested.v1", "otp.verified.v1")
    | _confirmed("otp.verified.v1")
)


def with_calls(chain: Chain, *calls: Hop) -> Chain:
    """Add the database calls of every service, and the given HTTP calls.

    Without those of audit: one transaction writes all topics of a poll, under its first event.
    """
    works = {span for hop in chain for span in hop if " process " in span or " work " in span}
    works = {span for span in works if not span.startswith("audit ")}
    stored = {(span, f"{span.partition(' ')[0]} transaction") for span in works}
    return chain | stored | frozenset(calls)
