"""Decisions on a partner bank's answers to instructions. Pure."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never

from payment_schemas.events.settlement import SettlementRequested, SettlementUpdated
from payment_schemas.ids import PaymentId, Uetr
from payment_schemas.money import Money

BATCH_ROWS = 100
"""Transfers in one message at most. Source: the partner banks' interface."""

# A bank's text goes into topics and logs only as codes and references, never prose with names.
_CODE = re.compile(r"[A-Za-z0-9_.:/-]{1,64}")


class Status(StrEnum):
    """The status of an instruction. QUEUED and SENDING are never published."""

    QUEUED = "QUEUED"
    SENDING = "SENDING"
    SENT = "SENT"
    UNKNOWN = "UNKNOWN"
    RECONCILE = "RECONCILE"
    """A person must resolve it; enquiries go on, and the bank's definite answer ends it."""
    SETTLED = "SETTLED"
    REJECTED = "REJECTED"


FINAL = frozenset({Status.SETTLED, Status.REJECTED})


class NextStep(StrEnum):
    """The next message to the bank when the instruction is due."""

    SEND = "SEND"
    ENQUIRE = "ENQUIRE"


class Kind(StrEnum):
    """The kind of a bank's answer to one transfer."""

    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    PENDING = "PENDING"
    NOT_FOUND = "NOT_FOUND"
    NO_ANSWER = "NO_ANSWER"
    """A time-out, a reset or nonsense: the bank may have carried the transfer out or not."""
    FAILED = "FAILED"
    """A server error on the whole message; otherwise as NO_ANSWER."""
    UNCLEAR = "UNCLEAR"
    """The bank answered, but unintelligibly about this transfer."""
    NOT_ASKED = "NOT_ASKED"
    """Nothing was sent, or the bank refused access."""
    REFUSED = "REFUSED"
    """The whole message was refused for its content."""


_OUTCOMES = {Kind.ACCEPTED: Status.SETTLED, Kind.REJECTED: Status.REJECTED}


@dataclass(frozen=True, slots=True)
class BankResponse:
    """A bank's answer to one transfer."""

    kind: Kind
    reason: str | None = None
    bank_reference: str | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """How one partner is treated: its profile.

    Between two questions the wait doubles, bounded, without jitter: one lane asks for all, in
    batches, and rows due together share a message.
    """

    first_s: float = 1.0
    most_s: float = 30.0
    is_idempotent: bool = True
    """Whether the bank books a UETR once, however often it is sent. If not, it is sent once."""
    in_flight_s: float = 60.0
    """How long after it was sent a message may still reach the bank's books."""

    def after(self, tries: int, now: datetime) -> datetime:
        """Return when to ask again after so many tries (1, 2, …) without an outcome."""
        return now + timedelta(seconds=min(self.most_s, self.first_s * 2.0 ** min(tries - 1, 30)))

    def is_past_window(self, since: datetime | None, now: datetime) -> bool:
        """Say whether what was sent then would be known to the bank by now."""
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
    """When it was last sent; None where the bank certainly has not accepted it."""
    unusable_since: datetime | None = None
    """When the bank first refused it alone, or first answered unintelligibly about it."""

    @property
    def is_never_taken(self) -> bool:
        """Whether the bank has refused every message that held it."""
        return self.unusable_since is not None and self.sent_at is None


@dataclass(frozen=True, slots=True)
class Decision:
    """The next state, its events, and whether the answer contradicts an outcome."""

    state: Instruction
    events: tuple[SettlementUpdated, ...] = ()
    is_late: bool = False


def partner_of(account: str, routes: dict[str, str], otherwise: str) -> str:
    """Return the partner that keeps the account: the longest prefix in the routing table wins."""
    prefixes = [prefix for prefix in routes if account.startswith(prefix)]
    return routes[max(prefixes, key=len)] if prefixes else otherwise


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
    """Put transfers into messages; those that are sent again go into ever smaller ones.

    A message that the bank never answers is so cut down to the transfer that causes it.
    """
    messages: defaultdict[int, list[Instruction]] = defaultdict(list)
    for one in instructions:
        tries = one.tries if one.status is Status.UNKNOWN else 0
        messages[max(1, BATCH_ROWS >> tries)].append(one)
    return [
        together[start : start + rows]
        for rows, together in messages.items()
        for start in range(0, len(together), rows)
    ]


def begin(instruction: Instruction, now: datetime) -> Instruction:
    """Return the state that must be committed before the bank is called.

    A started send leaves an enquiry as the next step: if the worker crashes, the next worker
    enquires before it sends.
    """
    if instruction.next_step is NextStep.ENQUIRE:
        return instruction
    asked = replace(instruction, next_step=NextStep.ENQUIRE, sent_at=now)
    return _moved(asked, Status.SENDING) if instruction.status is Status.QUEUED else asked


def after_answer(
    before: Instruction, answer: BankResponse, now: datetime, policy: Policy
) -> Decision:
    """Decide what the bank's answer makes of an instruction.

    `before` is the instruction as it was before `begin`; the table names it as it was after.

    | answer | SENDING | SENT | UNKNOWN | RECONCILE |
    |---|---|---|---|---|
    | ACCEPTED | SETTLED | SETTLED | SETTLED | SETTLED |
    | REJECTED | REJECTED | REJECTED | REJECTED | REJECTED |
    | PENDING | SENT, enquire later | enquire later | SENT, enquire later | enquire later |
    | the same, never taken | RECONCILE, enquire later | the same | the same | enquire later |
    | NOT_FOUND, idempotent | send again | UNKNOWN, send again | send again | enquire later |
    | NOT_FOUND, in flight | UNKNOWN, enquire later | the same | enquire later | enquire later |
    | NOT_FOUND, past it | RECONCILE, enquire later | the same | the same | enquire later |
    | NO_ANSWER, FAILED | UNKNOWN, enquire later | enquire later | enquire later | enquire later |
    | NOT_ASKED | as before it, later | the same, later | the same, later | the same, later |
    | REFUSED, UNCLEAR | UNKNOWN, enquire later | enquire later | the same | the same |
    | the same, past the window | RECONCILE, enquire later | the same | the same | enquire later |

    SETTLED and REJECTED ignore every answer; one that contradicts them is late.

    "Not found" is no rejection: the message may still be on its way, so it is sent again under
    the same UETR, or, where the bank would book it twice, waited for until its window is over; then
    a person must find out. Nothing is ever given back from UNKNOWN.

    A refusal of the message is no rejection either. A bank that refuses a transfer, or answers
    nothing intelligible about it, for as long as its window lasts is left to a person. So is one
    that has refused every message and yet says that it has the UETR: that is another transfer.
    """
    if before.status in FINAL:
        return Decision(before, is_late=_contradicts(before, answer))
    instruction = begin(before, now)
    match answer.kind:
        case Kind.ACCEPTED | Kind.REJECTED | Kind.PENDING if instruction.is_never_taken:
            decision = _enquire_later(instruction, Status.RECONCILE, now, policy)
        case Kind.ACCEPTED | Kind.REJECTED:
            decision = conclude(instruction, answer)
        case Kind.PENDING:
            decision = _pending(instruction, now, policy)
        case Kind.NOT_FOUND:
            decision = _not_found(instruction, now, policy)
        case Kind.NO_ANSWER | Kind.FAILED:
            decision = _in_doubt(instruction, now, policy)
        case Kind.NOT_ASKED:
            decision = Decision(_undone(before, instruction, now, policy))
        case Kind.REFUSED | Kind.UNCLEAR:
            decision = _unusable(before, instruction, answer, now, policy)
        case _:  # pragma: no cover - mypy proves that nothing is left
            assert_never(answer.kind)
    return decision


def conclude(instruction: Instruction, answer: BankResponse) -> Decision:
    """Decide what ACCEPTED or REJECTED makes of an instruction without an outcome."""
    moved = replace(
        _moved(instruction, _OUTCOMES[answer.kind]),
        due_at=None,
        reason=answer.reason,
        bank_reference=answer.bank_reference,
    )
    return Decision(moved, (_told(moved),))


def bank_code(text: object) -> str | None:
    """Return a bank's code or reference, or None where it is not one: prose goes no further."""
    return text if isinstance(text, str) and _CODE.fullmatch(text) else None


def _moved(instruction: Instruction, status: Status, tries: int = 0) -> Instruction:
    return replace(instruction, status=status, tries=tries, version=instruction.version + 1)


def _enquire_later(
    instruction: Instruction, status: Status, now: datetime, policy: Policy
) -> Decision:
    if instruction.status is status:
        return Decision(_later(instruction, now, policy))
    moved = _later(_moved(instruction, status), now, policy)
    return Decision(moved, (_told(moved),))


def _in_doubt(instruction: Instruction, now: datetime, policy: Policy) -> Decision:
    """Without an answer nothing new is known of what the bank has said it has or has not."""
    known = instruction.status in (Status.SENT, Status.RECONCILE)
    status = instruction.status if known else Status.UNKNOWN
    return _enquire_later(instruction, status, now, policy)


def _unusable(
    before: Instruction, begun: Instruction, answer: BankResponse, now: datetime, policy: Policy
) -> Decision:
    """The bank answers, and nobody can use what it says: past its window a person must ask it."""
    since = before.unusable_since or now
    # A refused message was surely not taken in; an earlier one may be on its way.
    sent_at = before.sent_at if answer.kind is Kind.REFUSED else begun.sent_at
    noted = replace(begun, unusable_since=since, sent_at=sent_at)
    if policy.is_past_window(max(since, sent_at or since), now):
        return _enquire_later(noted, Status.RECONCILE, now, policy)
    return _in_doubt(noted, now, policy)


def _pending(instruction: Instruction, now: datetime, policy: Policy) -> Decision:
    """Who waits for a person waits on until the bank's answer is definite."""
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
    moved = _moved(again, Status.UNKNOWN, tries=again.tries)
    return Decision(moved, (_told(moved),))


def _undone(before: Instruction, begun: Instruction, now: datetime, policy: Policy) -> Instruction:
    """Take back that the instruction was begun: the bank has not heard of it."""
    back = _later(replace(before, version=begun.version), now, policy)
    return back if begun.status is before.status else _moved(back, before.status, tries=back.tries)


def _later(instruction: Instruction, now: datetime, policy: Policy) -> Instruction:
    tries = instruction.tries + 1
    return replace(instruction, tries=tries, due_at=policy.after(tries, now))


def _contradicts(instruction: Instruction, answer: BankResponse) -> bool:
    return _OUTCOMES.get(answer.kind, instruction.status) is not instruction.status


def _told(instruction: Instruction) -> SettlementUpdated:
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
