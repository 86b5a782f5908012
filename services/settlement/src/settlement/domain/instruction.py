"""Decisions on a partner bank's responses to instructions. Pure."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, assert_never

from payment_schemas.events.settlement import SettlementRequested, SettlementUpdated
from payment_schemas.ids import PaymentId, Uetr
from payment_schemas.money import Money

BATCH_ROWS = 100
"""Maximum number of transfers in one message. Source: the partner banks' interface."""

# A bank's text goes into topics and logs only as codes and references, never prose with names.
_CODE = re.compile(r"[A-Za-z0-9_.:/-]{1,64}")


class Status(StrEnum):
    """The status of an instruction. QUEUED and SENDING are never published."""

    QUEUED = "QUEUED"
    SENDING = "SENDING"
    SENT = "SENT"
    UNKNOWN = "UNKNOWN"
    RECONCILE = "RECONCILE"
    """A person must resolve it. Enquiries continue; a definite response of the bank ends it."""
    SETTLED = "SETTLED"
    REJECTED = "REJECTED"


FINAL = frozenset({Status.SETTLED, Status.REJECTED})


class NextStep(StrEnum):
    """The next message to the bank when the instruction is due."""

    SEND = "SEND"
    ENQUIRE = "ENQUIRE"
    PUBLISH = "PUBLISH"
    """Publish the instruction to the partner's topic, for the first time or again."""
    AWAIT = "AWAIT"
    """None: the partner's report, or a person, ends it."""


class Kind(StrEnum):
    """The kind of a bank's response to one transfer."""

    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    PENDING = "PENDING"
    NOT_FOUND = "NOT_FOUND"
    NO_ANSWER = "NO_ANSWER"
    """A timeout, a reset or an unreadable body: the bank may have booked the transfer."""
    FAILED = "FAILED"
    """A server error (5xx) for the whole message; otherwise treated as NO_ANSWER."""
    UNCLEAR = "UNCLEAR"
    """The bank responded, but its result for this transfer is missing or invalid."""
    NOT_ASKED = "NOT_ASKED"
    """No request was sent, or the bank refused access."""
    REFUSED = "REFUSED"
    """The bank refused the whole message because of its content."""


_OUTCOMES = {Kind.ACCEPTED: Status.SETTLED, Kind.REJECTED: Status.REJECTED}


@dataclass(frozen=True, slots=True)
class BankResponse:
    """A bank's response to one transfer."""

    kind: Kind
    reason: str | None = None
    bank_reference: str | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """The retry and sending rules of one partner.

    The wait between two enquiries doubles up to a maximum. It has no jitter: one worker enquires
    about all transfers, and rows that are due together share a message.
    """

    first_s: float = 1.0
    most_s: float = 30.0
    is_idempotent: bool = True
    """Whether the bank books a repeated UETR only once. If not, each transfer is sent once."""
    in_flight_s: float = 60.0
    """Time after sending within which the bank may still book a message (in-flight window)."""

    def after(self, tries: int, now: datetime) -> datetime:
        """Return the time of the next enquiry after `tries` attempts (1, 2, …)."""
        return now + timedelta(seconds=min(self.most_s, self.first_s * 2.0 ** min(tries - 1, 30)))

    def is_past_window(self, since: datetime | None, now: datetime) -> bool:
        """Return whether the in-flight window of a message sent at `since` is over."""
        return since is None or now >= since + timedelta(seconds=self.in_flight_s)


@dataclass(frozen=True, slots=True)
class Instruction:
    """One transfer to one partner bank; its UETR never changes."""

    payment_id: PaymentId
    user_id: str
    transaction_id: str
    uetr: Uetr
    partner: str
    money: Money
    debtor_account: str
    creditor_account: str
    confirmed_at: datetime
    due_at: datetime | None
    """When the next step is due; None once the outcome is known."""
    status: Status = Status.QUEUED
    next_step: NextStep = NextStep.SEND
    tries: int = 0
    """Attempts since the last change of status."""
    version: int = 1
    reason: str | None = None
    bank_reference: str | None = None
    sent_at: datetime | None = None
    """Time of the last send; None if the bank certainly has not accepted the transfer."""
    unusable_since: datetime | None = None
    """Time of the first REFUSED or UNCLEAR response to this transfer."""
    unanswered_since: datetime | None = None
    """Over Kafka: time from which the bank owes a report; None after a report."""

    @property
    def is_always_refused(self) -> bool:
        """Whether the bank has refused every message that contained this transfer."""
        return self.unusable_since is not None and self.sent_at is None


@dataclass(frozen=True, slots=True)
class Decision:
    """The next state, its events, and whether the response contradicts an outcome."""

    state: Instruction
    events: tuple[SettlementUpdated, ...] = ()
    is_late: bool = False


def partner_of(account: str, routes: Mapping[str, str], default: str) -> str:
    """Return the partner that holds the account: the longest matching prefix wins."""
    prefixes = [prefix for prefix in routes if account.startswith(prefix)]
    return routes[max(prefixes, key=len)] if prefixes else default


def instruct(event: SettlementRequested, partner: str, now: datetime) -> Instruction:
    """Return the instruction for a confirmed payment, due at once."""
    return Instruction(
        payment_id=event.payment_id,
        user_id=event.user_id,
        transaction_id=event.transaction_id,
        uetr=event.uetr,
        partner=partner,
        money=Money(event.amount_minor, event.currency),
        debtor_account=event.debtor_account,
        creditor_account=event.creditor_account,
        confirmed_at=event.confirmed_at,
        due_at=now,
    )


def messages_of(instructions: Iterable[Instruction]) -> list[list[Instruction]]:
    """Group transfers into messages; each retry of a transfer halves its message size.

    Retries thus isolate the transfer that makes the bank fail.
    """
    messages: defaultdict[int, list[Instruction]] = defaultdict(list)
    for instruction in instructions:
        tries = instruction.tries if instruction.status is Status.UNKNOWN else 0
        messages[max(1, BATCH_ROWS >> tries)].append(instruction)
    return [
        group[start : start + rows]
        for rows, group in messages.items()
        for start in range(0, len(group), rows)
    ]


def begin(instruction: Instruction, now: datetime) -> Instruction:
    """Return the state that must be committed before the bank is called.

    The next step becomes ENQUIRE: if the worker crashes, the next worker enquires first.
    """
    if instruction.next_step is not NextStep.SEND:
        return instruction
    begun = replace(instruction, next_step=NextStep.ENQUIRE, sent_at=now)
    return with_status(begun, Status.SENDING) if instruction.status is Status.QUEUED else begun


def after_answer(
    before: Instruction, response: BankResponse, now: datetime, policy: Policy
) -> Decision:
    """Return the next state of an instruction after the bank's response.

    `before` is the state before `begin`; the table's columns are the states after `begin`.

    | response | SENDING | SENT | UNKNOWN | RECONCILE |
    |---|---|---|---|---|
    | ACCEPTED | SETTLED | SETTLED | SETTLED | SETTLED |
    | REJECTED | REJECTED | REJECTED | REJECTED | REJECTED |
    | PENDING | SENT, enquire later | enquire later | SENT, enquire later | enquire later |
    | the same, always refused | RECONCILE, enquire later | the same | the same | enquire later |
    | NOT_FOUND, idempotent | send again | UNKNOWN, send again | send again | enquire later |
    | NOT_FOUND in window | UNKNOWN, enquire later | the same | enquire later | enquire later |
    | NOT_FOUND past window | RECONCILE, enquire later | the same | the same | enquire later |
    | NO_ANSWER, FAILED | UNKNOWN, enquire later | enquire later | enquire later | enquire later |
    | NOT_ASKED | as before `begin`, later | the same, later | the same, later | the same, later |
    | REFUSED, UNCLEAR | UNKNOWN, enquire later | enquire later | the same | the same |
    | the same, past window | RECONCILE, enquire later | the same | the same | enquire later |

    SETTLED and REJECTED ignore every response; a response that contradicts them is late.

    NOT_FOUND is no rejection: the message may still arrive. An idempotent bank gets the transfer
    again under the same UETR. Any other bank is enquired until the window is over; then a person
    must resolve the transfer. UNKNOWN never releases money.

    REFUSED is no rejection either. REFUSED or UNCLEAR past the window needs a person. So does a
    bank that refused every message and still reports the UETR: it has another transfer under it.
    """
    if before.status in FINAL:
        return Decision(before, is_late=_contradicts(before, response))
    instruction = begin(before, now)
    match response.kind:
        case Kind.ACCEPTED | Kind.REJECTED | Kind.PENDING if instruction.is_always_refused:
            decision = _enquire_later(instruction, Status.RECONCILE, now, policy)
        case Kind.ACCEPTED | Kind.REJECTED:
            decision = conclude(instruction, response)
        case Kind.PENDING:
            decision = _pending(instruction, now, policy)
        case Kind.NOT_FOUND:
            decision = _not_found(instruction, now, policy)
        case Kind.NO_ANSWER | Kind.FAILED:
            decision = _in_doubt(instruction, now, policy)
        case Kind.NOT_ASKED:
            decision = Decision(_undo(before, instruction, now, policy))
        case Kind.REFUSED | Kind.UNCLEAR:
            decision = _unusable(before, instruction, response, now, policy)
        case _:  # pragma: no cover - mypy proves that the match is exhaustive
            assert_never(response.kind)
    return decision


def conclude(instruction: Instruction, response: BankResponse) -> Decision:
    """Return the outcome of an instruction after ACCEPTED or REJECTED."""
    moved = with_status(
        instruction,
        _OUTCOMES[response.kind],
        due_at=None,
        reason=response.reason,
        bank_reference=response.bank_reference,
    )
    return Decision(moved, (updated_event(moved),))


def bank_code(text: object) -> str | None:
    """Return a bank's code or reference, or None if the text is not one."""
    return text if isinstance(text, str) and _CODE.fullmatch(text) else None


def with_status(
    instruction: Instruction, status: Status, tries: int = 0, **changes: Any
) -> Instruction:
    """Return the instruction in another status, with the next version and further changes."""
    version = instruction.version + 1
    return replace(instruction, status=status, tries=tries, version=version, **changes)


def _enquire_later(
    instruction: Instruction, status: Status, now: datetime, policy: Policy
) -> Decision:
    if instruction.status is status:
        return Decision(_postponed(instruction, now, policy))
    moved = _postponed(with_status(instruction, status), now, policy)
    return Decision(moved, (updated_event(moved),))


def _in_doubt(instruction: Instruction, now: datetime, policy: Policy) -> Decision:
    known = instruction.status in (Status.SENT, Status.RECONCILE)
    status = instruction.status if known else Status.UNKNOWN
    return _enquire_later(instruction, status, now, policy)


def _unusable(
    before: Instruction, begun: Instruction, response: BankResponse, now: datetime, policy: Policy
) -> Decision:
    since = before.unusable_since or now
    # The bank has not accepted a refused message; an earlier message may still arrive.
    sent_at = before.sent_at if response.kind is Kind.REFUSED else begun.sent_at
    noted = replace(begun, unusable_since=since, sent_at=sent_at)
    if policy.is_past_window(max(since, sent_at or since), now):
        return _enquire_later(noted, Status.RECONCILE, now, policy)
    return _in_doubt(noted, now, policy)


def _pending(instruction: Instruction, now: datetime, policy: Policy) -> Decision:
    reconcile = instruction.status is Status.RECONCILE
    status = Status.RECONCILE if reconcile else Status.SENT
    return _enquire_later(replace(instruction, unusable_since=None), status, now, policy)


def _not_found(instruction: Instruction, now: datetime, policy: Policy) -> Decision:
    if instruction.status is Status.RECONCILE:
        return _enquire_later(instruction, Status.RECONCILE, now, policy)
    if policy.is_idempotent:
        return _send_again(instruction, now)
    since = instruction.sent_at or instruction.unusable_since
    past = policy.is_past_window(since, now)
    return _enquire_later(instruction, Status.RECONCILE if past else Status.UNKNOWN, now, policy)


def _send_again(instruction: Instruction, now: datetime) -> Decision:
    again = replace(instruction, next_step=NextStep.SEND, due_at=now, tries=instruction.tries + 1)
    if instruction.status is not Status.SENT:
        return Decision(again)
    moved = with_status(again, Status.UNKNOWN, tries=again.tries)
    return Decision(moved, (updated_event(moved),))


def _undo(before: Instruction, begun: Instruction, now: datetime, policy: Policy) -> Instruction:
    back = _postponed(replace(before, version=begun.version), now, policy)
    return (
        back
        if begun.status is before.status
        else with_status(back, before.status, tries=back.tries)
    )


def _postponed(instruction: Instruction, now: datetime, policy: Policy) -> Instruction:
    tries = instruction.tries + 1
    return replace(instruction, tries=tries, due_at=policy.after(tries, now))


def _contradicts(instruction: Instruction, response: BankResponse) -> bool:
    return _OUTCOMES.get(response.kind, instruction.status) is not instruction.status


def updated_event(instruction: Instruction) -> SettlementUpdated:
    """Return the event of the instruction's present status."""
    return SettlementUpdated(
        payment_id=instruction.payment_id,
        user_id=instruction.user_id,
        transaction_id=instruction.transaction_id,
        uetr=instruction.uetr,
        partner=instruction.partner,
        status=instruction.status.value,
        version=instruction.version,
        amount_minor=instruction.money.amount_minor,
        currency=instruction.money.currency,
        to_account=instruction.creditor_account,
        confirmed_at=instruction.confirmed_at,
        reason=instruction.reason,
        bank_reference=instruction.bank_reference,
    )
