"""The partner banks' interface: transfers and enquiries in batches, answers matched by UETR."""

import re
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Protocol
from urllib.parse import urlencode
from uuid import NAMESPACE_URL, UUID, uuid5

import orjson

from payment_schemas.ids import Uetr
from payment_schemas.money import DECIMALS, Money, decimal_of, minor_units
from service_runtime import metrics
from service_runtime.errors import Unavailable
from service_runtime.http_client import (
    HttpClient,
    HttpResponse,
    RequestNotSent,
    ServerFailed,
)
from service_runtime.logs import Log
from settlement.domain import BankResponse, Instruction, Kind, bank_code
from settlement.domain.statements import StatementEntry

Answers = Mapping[Uetr, BankResponse]

# Not about what stands in the message: credentials, an unknown address, a limit, patience.
# Halving it would help nobody.
_NOT_ADMITTED = frozenset({401, 403, 404, 405, 408, 425, 429})
_OK = frozenset({200, 201})
_CLIENT_ERRORS = range(400, 500)
_SENT_KINDS = frozenset({Kind.ACCEPTED, Kind.REJECTED, Kind.PENDING})
_ENQUIRED_KINDS = _SENT_KINDS | {Kind.NOT_FOUND}

STATEMENT_ROWS = 1000
"""Entries of a statement in one page; about 250 kB of the megabyte that an answer may have."""
PAUSE_S = 5.0
"""How long nothing is claimed for a bank that has not let us in: else its whole backlog would be
tried every half minute."""
UNREADABLE = uuid5(NAMESPACE_URL, "urn:countersign:unreadable-statement-entry")
_AMOUNT = re.compile(r"(-?)(\d{1,12}(?:\.\d{1,4})?)")

_log = Log("bank")
_refusals = metrics.counter("bank_refusals", "Messages that a bank has refused, by status.")


@dataclass(frozen=True, slots=True)
class StatementPage:
    """Some entries of a statement, and where it goes on; None at its end."""

    entries: Sequence[StatementEntry]
    behind: str | None = None


class PartnerBank(Protocol):
    """One partner bank. About transfers it never raises: whatever happens is an answer for each."""

    @property
    def is_open(self) -> bool:
        """Whether nothing would be sent now, because the bank is known to be down."""
        ...

    async def send(self, instructions: Sequence[Instruction]) -> Answers:
        """Send up to 100 transfers in one message; repeats of a UETR are one transfer."""
        ...

    async def enquire(self, instructions: Sequence[Instruction]) -> Answers:
        """Ask how up to 100 transfers stand."""
        ...

    async def statement(self, day: date, after: str | None) -> StatementPage:
        """Return a page of what the bank booked on a day; raises Unavailable."""
        ...


class HttpPartnerBank:
    """A partner bank over HTTP."""

    def __init__(self, client: HttpClient, partner: str) -> None:
        self._client = client
        self._partner = partner
        self._paused_until_s = 0.0

    @property
    def is_open(self) -> bool:
        return self._client.is_open or time.monotonic() < self._paused_until_s

    async def send(self, instructions: Sequence[Instruction]) -> Answers:
        body = {"transfers": [_transfer(instruction) for instruction in instructions]}
        return await self._ask("/transfers:batch", body, instructions, _SENT_KINDS)

    async def enquire(self, instructions: Sequence[Instruction]) -> Answers:
        body = {"uetrs": [str(instruction.uetr) for instruction in instructions]}
        return await self._ask("/transfers:query", body, instructions, _ENQUIRED_KINDS)

    async def statement(self, day: date, after: str | None) -> StatementPage:
        query = {"date": day.isoformat(), "limit": STATEMENT_ROWS}
        query |= {"after": after} if after else {}
        answer = await self._client.get(f"/statement?{urlencode(query)}")
        if answer.status not in _OK:
            raise Unavailable(f"statement: status {answer.status}")
        try:
            return statement_page_of(answer.body)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise Unavailable("statement: not as it was agreed") from None

    async def _ask(
        self,
        path: str,
        body: Mapping[str, Any],
        instructions: Sequence[Instruction],
        kinds: frozenset[Kind],
    ) -> Answers:
        asked = [instruction.uetr for instruction in instructions]
        try:
            answer = await self._client.post(path, body)
        except RequestNotSent as error:
            return _all(asked, Kind.NOT_ASKED, str(error))
        except ServerFailed as error:
            return _all(asked, Kind.FAILED, str(error))
        except Unavailable as error:
            return _all(asked, Kind.NO_ANSWER, str(error))
        if answer.status in _CLIENT_ERRORS:
            self._note_refusal(answer.status)
        return answers_of(asked, answer, kinds)

    def _note_refusal(self, status: int) -> None:
        _refusals.add(1, {"partner": self._partner, "status": str(status)})
        if status in _NOT_ADMITTED:
            self._paused_until_s = time.monotonic() + PAUSE_S


def statement_page_of(body: Any) -> StatementPage:
    """Return the page in an answer; raises KeyError, TypeError or ValueError where it is none.

    A line without a readable UETR is an entry all the same, that nobody here knows: it must not
    hide the rest. A page on which no line has one is not what was agreed.
    """
    behind, lines = body["next"], body["entries"]
    if not ((behind is None or isinstance(behind, str)) and isinstance(lines, list)):
        raise TypeError("next, entries")
    uetrs = [_uetr(line) for line in lines]
    if lines and not any(uetrs):
        raise ValueError("uetr")
    if unreadable := uetrs.count(None):
        _log.warning("statement_entry_unreadable", count=unreadable)
    return StatementPage([_entry(*one) for one in zip(lines, uetrs, strict=True)], behind)


def _entry(line: Any, uetr: UUID | None) -> StatementEntry:
    if uetr is None:
        name = orjson.dumps(line, option=orjson.OPT_SORT_KEYS).decode()
        return StatementEntry(uuid5(UNREADABLE, name), None)
    money, is_reversal = _money(line.get("amount"), line.get("currency"))
    reference, booked_at = bank_code(line.get("bank_reference")), _time(line.get("booked_at"))
    return StatementEntry(uetr, money, is_reversal, reference, booked_at)


def _money(amount: Any, currency: Any) -> tuple[Money | None, bool]:
    """Return an amount, and whether it was taken back.

    None where it is no amount: that is a break to report, not a bad page.
    """
    found = _AMOUNT.fullmatch(amount) if isinstance(amount, str) else None
    if found is None or not isinstance(currency, str) or currency not in DECIMALS:
        return None, False
    sign, digits = found.groups()
    amount_minor = minor_units(decimal_of(digits), currency)
    return (None if amount_minor is None else Money(amount_minor, currency)), sign == "-"


def _time(text: Any) -> datetime | None:
    """Return the time of a booking; None where it is no time, or one of an unknown zone."""
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo else None
    except (TypeError, ValueError, OverflowError):
        return None


def answers_of(asked: Sequence[Uetr], answer: HttpResponse, kinds: frozenset[Kind]) -> Answers:
    """Return what an answer says of each transfer that was asked about."""
    if answer.status in _NOT_ADMITTED:
        return _all(asked, Kind.NOT_ASKED, f"status {answer.status}")
    if answer.status in _CLIENT_ERRORS:
        return _all(asked, Kind.REFUSED, f"status {answer.status}")
    results = answer.body.get("results") if isinstance(answer.body, dict) else None
    if answer.status not in _OK or not isinstance(results, list):
        return _all(asked, Kind.NO_ANSWER, f"status {answer.status}, no results")
    return _matched(asked, results, kinds)


def _matched(asked: Sequence[Uetr], results: list[Any], kinds: frozenset[Kind]) -> Answers:
    """Match by UETR, not by order: who is missing or named twice has no clear answer."""
    named = [(uetr, result) for result in results if (uetr := _uetr(result))]
    times = Counter(uetr for uetr, _ in named)
    found = {uetr: _answer(result, kinds) for uetr, result in named if times[uetr] == 1}
    answers = {uetr: found.get(uetr, BankResponse(Kind.UNCLEAR)) for uetr in asked}
    unclear = sum(answer.kind is Kind.UNCLEAR for answer in answers.values())
    if unclear:
        _log.warning("answer_unclear", count=unclear)
    return answers


def _answer(result: dict[str, Any], kinds: frozenset[Kind]) -> BankResponse:
    status = result.get("status")
    if not isinstance(status, str) or status not in kinds:
        return BankResponse(Kind.UNCLEAR)
    return BankResponse(
        Kind(status), bank_code(result.get("reason")), bank_code(result.get("bank_reference"))
    )


def _uetr(result: Any) -> UUID | None:
    try:
        return UUID(result.get("uetr"))
    except (TypeError, ValueError, AttributeError):
        return None


def _all(asked: Sequence[Uetr], kind: Kind, reason: str) -> Answers:
    _log.warning("bank_did_not_do", status=kind, reason=reason, count=len(asked))
    return dict.fromkeys(asked, BankResponse(kind))


def _transfer(instruction: Instruction) -> dict[str, str]:
    return {
        "uetr": str(instruction.uetr),
        "end_to_end_id": instruction.transaction_id,
        "amount": instruction.money.major(),
        "currency": instruction.money.currency,
        "debtor_account": instruction.debtor_account,
        "creditor_account": instruction.creditor_account,
    }


@dataclass
class MemoryPartnerBank:
    """The memory twin: it books each UETR once, with faults that a test switches on.

    Payees behave as at the development banks: `rejected`, `late` (until `is_late` is cleared),
    `refused` (no message with it is taken), `failing` (every message with it is a server error) and
    `garbled` (its result is unintelligible). `others` are UETRs that the bank knows from another
    transfer.
    """

    booked: Counter[Uetr] = field(default_factory=Counter)
    rejected: set[Uetr] = field(default_factory=set)
    others: set[Uetr] = field(default_factory=set)
    messages: list[tuple[str, list[Uetr]]] = field(default_factory=list)
    is_down: bool = False
    is_open: bool = False
    is_late: bool = True
    loses_requests: bool = False
    loses_answers: bool = False
    books_repeats: bool = False
    """Not idempotent: a UETR that comes again moves money again."""
    statements: dict[date, list[StatementEntry]] = field(default_factory=dict)
    """What it says that it booked, by day; whatever a test wants it to say."""
    breaks_off_behind: int | None = None
    """The entries of a statement behind which it is down."""
    statement_rows: int = STATEMENT_ROWS
    most_rows: int = 100
    fails_on: Collection[str] = ("send", "enquire")
    """Messages in which `failing` payees are server errors."""

    async def send(self, instructions: Sequence[Instruction]) -> Answers:
        asked = [instruction.uetr for instruction in instructions]
        if self.is_down:
            return _all(asked, Kind.NOT_ASKED, "down")
        self.messages.append(("send", asked))
        if self.loses_requests:
            return _all(asked, Kind.NO_ANSWER, "request lost")
        if len(asked) > self.most_rows:
            return _all(asked, Kind.REFUSED, "status 413")
        if any(_is(one, "refused") or one.uetr in self.others for one in instructions):
            return _all(asked, Kind.REFUSED, "status 422")
        if self._fails("send", instructions):
            return _all(asked, Kind.FAILED, "status 500")
        for instruction in instructions:
            self._enter(instruction)
        return self._answered(instructions)

    async def enquire(self, instructions: Sequence[Instruction]) -> Answers:
        asked = [instruction.uetr for instruction in instructions]
        if self.is_down:
            return _all(asked, Kind.NOT_ASKED, "down")
        self.messages.append(("enquire", asked))
        if self.loses_requests:
            return _all(asked, Kind.NO_ANSWER, "request lost")
        if self._fails("enquire", instructions):
            return _all(asked, Kind.FAILED, "status 500")
        return self._answered(instructions)

    async def statement(self, day: date, after: str | None) -> StatementPage:
        if self.is_down:
            raise Unavailable("down")
        entries = self.statements.get(day, [])
        start = int(after or 0)
        if self.breaks_off_behind is not None and start >= self.breaks_off_behind:
            raise Unavailable("down")
        end = start + self.statement_rows
        return StatementPage(entries[start:end], str(end) if end < len(entries) else None)

    def _fails(self, message: str, instructions: Sequence[Instruction]) -> bool:
        return message in self.fails_on and any(_is(one, "failing") for one in instructions)

    def _enter(self, instruction: Instruction) -> None:
        if _is(instruction, "rejected"):
            self.rejected.add(instruction.uetr)
        elif self.books_repeats or instruction.uetr not in self.booked:
            self.booked[instruction.uetr] += 1

    def _answered(self, instructions: Sequence[Instruction]) -> Answers:
        if self.loses_answers:
            asked = [instruction.uetr for instruction in instructions]
            return _all(asked, Kind.NO_ANSWER, "answer lost")
        return {instruction.uetr: self._says(instruction) for instruction in instructions}

    def _says(self, instruction: Instruction) -> BankResponse:
        if _is(instruction, "garbled"):
            return BankResponse(Kind.UNCLEAR)
        if instruction.uetr in self.others:
            return BankResponse(Kind.ACCEPTED)
        if instruction.uetr in self.rejected:
            return BankResponse(Kind.REJECTED, "account_closed", f"B-{instruction.uetr.hex[:8]}")
        if instruction.uetr not in self.booked:
            return BankResponse(Kind.NOT_FOUND)
        if _is(instruction, "late") and self.is_late:
            return BankResponse(Kind.PENDING)
        return BankResponse(Kind.ACCEPTED, None, f"B-{instruction.uetr.hex[:8]}")


def _is(instruction: Instruction, behaviour: str) -> bool:
    return instruction.creditor_account.endswith(f"payee-{behaviour}")
