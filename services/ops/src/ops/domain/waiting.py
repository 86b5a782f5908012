"""The pending steps of a payment, with deadline and consequence. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ops.domain.rows import Row

DECLINED = "the payment is declined: timed_out"
_FINAL = ("SETTLED", "REJECTED")
_AT_THE_BANK = {
    "QUEUED": ("the next batch for {partner}", "settlement sends the transfer"),
    "SENDING": ("{partner} to acknowledge the transfer", "settlement enquires about it"),
    "SENT": ("{partner} to book the transfer", "settlement enquires about it"),
    "UNKNOWN": ("{partner} to report whether it has the transfer", "settlement enquires again"),
    "RECONCILE": ("people: {partner} reports no final outcome", "settlement enquires again"),
}
"""By the instruction's status; any other status is shown unchanged."""


@dataclass(frozen=True, slots=True)
class Wait:
    """A pending step."""

    what: str
    until: str | None
    """RFC 3339; None: without a deadline."""
    then: str
    """What happens at that time, or the command to run."""


class Facts(Protocol):
    """A payment with the rows of the services."""

    payment: Row
    instructions: Sequence[Row]
    challenges: Sequence[Row]
    deliveries: Sequence[Row]
    cases: Sequence[Row]
    missing: list[str]
    """Missing responses, a sentence each."""


def waits_of(facts: Facts, now: datetime) -> list[Wait]:
    """Return the pending steps of a payment; none for one that has ended."""
    decision = _decision(facts.payment, facts.challenges, now)
    return [*decision, *_settlement(facts), *_people(facts.cases), *_messages(facts.deliveries)]


def _decision(payment: Row, challenges: Sequence[Row], now: datetime) -> Iterator[Wait]:
    deadline = payment["deadline"]
    match payment["state"]:
        case "AWAITING_RISK":
            yield Wait("risk to screen and score it", deadline, DECLINED)
        case "CHALLENGING":
            yield Wait("otp to issue a one-time code", deadline, DECLINED)
        case "VERIFYING":
            yield Wait("otp to verify the one-time code", deadline, DECLINED)
        case "AWAITING_CODE":
            for one in challenges[-1:]:
                if one["state"] == "LIVE" and datetime.fromisoformat(one["expires_at"]) > now:
                    then = "the code expires; a further request issues another one"
                    yield Wait("the customer's one-time code", one["expires_at"], then)
            yield Wait("a request from the customer", deadline, DECLINED)


def _settlement(facts: Facts) -> Iterator[Wait]:
    if facts.payment["state"] != "CONFIRMED" or facts.payment["settlement_status"] in _FINAL:
        return
    if not facts.instructions:
        what = "settlement" if facts.missing else "settlement to receive it"
        yield Wait(what, None, "countersign check")
    for one in facts.instructions:
        if one["parked_at"]:
            yield Wait("people: settlement has parked it", None, "docs/runbooks/WorkParked.md")
        elif one["status"] in _FINAL:
            yield Wait("confirm to record the outcome", None, "countersign check")
        else:
            unknown = (f"settlement: {one['status']}", "countersign check")
            what, then = _AT_THE_BANK.get(one["status"], unknown)
            yield Wait(what.format(partner=one["partner"]), one["due_at"], then)


def _people(cases: Sequence[Row]) -> Iterator[Wait]:
    for one in cases:
        who = "a second person" if one["status"] == "PROPOSED" else "people"
        yield Wait(f"{who} to resolve {one['kind']}", None, f"countersign cases show {one['id']}")


def _messages(deliveries: Sequence[Row]) -> Iterator[Wait]:
    for one in deliveries:
        what = f"the {one['channel']} {one['template']!r}"
        if one["parked_at"]:
            yield Wait(f"people: {what} is parked", None, "docs/runbooks/WorkParked.md")
        elif one["due_at"]:
            yield Wait(f"notification to send {what}", one["due_at"], "notification retries")
