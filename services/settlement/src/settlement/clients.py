"""Clients of the partner banks: batches of transfers and enquiries, and statements."""

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

Responses = Mapping[Uetr, BankResponse]

# Not caused by the message's content (credentials, unknown path, rate limit, timeout): smaller
# messages would fail, too.
_ACCESS_REFUSED = frozenset({401, 403, 404, 405, 408, 425, 429})
_OK = frozenset({200, 201})
_CLIENT_ERRORS = range(400, 500)
_SENT_KINDS = frozenset({Kind.ACCEPTED, Kind.REJECTED, Kind.PENDING})
_ENQUIRED_KINDS = _SENT_KINDS | {Kind.NOT_FOUND}

STATEMENT_ROWS = 1000
"""Entries in one page of a statement: about 250 kB; a response may have 1 MB."""
PAUSE_S = 5.0
"""Pause of claims after a bank has refused access; without it the whole backlog would be sent to
the bank every half minute."""
UNREADABLE = uuid5(NAMESPACE_URL, "urn:countersign:unreadable-statement-entry")
_AMOUNT = re.compile(r"(-?)(\d{1,12}(?:\.\d{1,4})?)")

_log = Log("bank")
_refusals = metrics.counter("bank_refusals", "Messages refused by a bank, by status.")


@dataclass(frozen=True, slots=True)
class StatementPage:
    """Some entries of a statement, and the cursor of the next page (None at the end)."""

    entries: Sequence[StatementEntry]
    next_cursor: str | None = None


class PartnerBank(Protocol):
    """One partner bank. `send` and `enquire` never raise: a failure is a response, too."""

    @property
    def is_open(self) -> bool:
        """Whether no message may be sent now: the breaker is open or the bank refuses access."""
        ...

    async def send(self, instructions: Sequence[Instruction]) -> Responses:
        """Send up to 100 transfers in one message."""
        ...

    async def enquire(self, instructions: Sequence[Instruction]) -> Responses:
        """Query the outcome of up to 100 transfers."""
        ...

    async def statement(self, day: date, after: str | None) -> StatementPage:
        """Return a page of the bank's bookings of a day; raises Unavailable."""
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

    async def send(self, instructions: Sequence[Instruction]) -> Responses:
        body = {"transfers": [_transfer(instruction) for instruction in instructions]}
        return await self._post("/transfers:batch", body, instructions, _SENT_KINDS)

    async def enquire(self, instructions: Sequence[Instruction]) -> Responses:
        body = {"uetrs": [str(instruction.uetr) for instruction in instructions]}
        return await self._post("/transfers:query", body, instructions, _ENQUIRED_KINDS)

    async def statement(self, day: date, after: str | None) -> StatementPage:
        query = {"date": day.isoformat(), "limit": STATEMENT_ROWS}
        query |= {"after": after} if after else {}
        response = await self._client.get(f"/statement?{urlencode(query)}")
        if response.status not in _OK:
            raise Unavailable(f"statement: status {response.status}")
        try:
            return statement_page_of(response.body)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise Unavailable("statement: not as it was agreed") from None

    async def _post(
        self,
        path: str,
        body: Mapping[str, Any],
        instructions: Sequence[Instruction],
        kinds: frozenset[Kind],
    ) -> Responses:
        uetrs = [instruction.uetr for instruction in instructions]
        try:
            response = await self._client.post(path, body)
        except RequestNotSent as error:
            return _same_response(uetrs, Kind.NOT_ASKED, str(error))
        except ServerFailed as error:
            return _same_response(uetrs, Kind.FAILED, str(error))
        except Unavailable as error:
            return _same_response(uetrs, Kind.NO_ANSWER, str(error))
        if response.status in _CLIENT_ERRORS:
            self._note_refusal(response.status)
        return responses_of(uetrs, response, kinds)

    def _note_refusal(self, status: int) -> None:
        _refusals.add(1, {"partner": self._partner, "status": str(status)})
        if status in _ACCESS_REFUSED:
            self._paused_until_s = time.monotonic() + PAUSE_S


def statement_page_of(body: Any) -> StatementPage:
    """Return the page in a response body; raises KeyError, TypeError or ValueError if malformed.

    A line without a readable UETR becomes an entry of an unknown transfer, so that the other lines
    still count. A page on which no line has a readable UETR is malformed.
    """
    next_cursor, lines = body["next"], body["entries"]
    if not ((next_cursor is None or isinstance(next_cursor, str)) and isinstance(lines, list)):
        raise TypeError("next, entries")
    uetrs = [_uetr(line) for line in lines]
    if lines and not any(uetrs):
        raise ValueError("uetr")
    if unreadable := uetrs.count(None):
        _log.warning("statement_entry_unreadable", count=unreadable)
    return StatementPage([_entry(*pair) for pair in zip(lines, uetrs, strict=True)], next_cursor)


def _entry(line: Any, uetr: UUID | None) -> StatementEntry:
    if uetr is None:
        name = orjson.dumps(line, option=orjson.OPT_SORT_KEYS).decode()
        return StatementEntry(uuid5(UNREADABLE, name), None)
    money, is_reversal = _money(line.get("amount"), line.get("currency"))
    reference, booked_at = bank_code(line.get("bank_reference")), _time(line.get("booked_at"))
    return StatementEntry(uetr, money, is_reversal, reference, booked_at)


def _money(amount: Any, currency: Any) -> tuple[Money | None, bool]:
    """Return an amount, and whether it is a reversal.

    An unreadable amount is None: a break to report, not a malformed page.
    """
    found = _AMOUNT.fullmatch(amount) if isinstance(amount, str) else None
    if found is None or not isinstance(currency, str) or currency not in DECIMALS:
        return None, False
    sign, digits = found.groups()
    amount_minor = minor_units(decimal_of(digits), currency)
    return (None if amount_minor is None else Money(amount_minor, currency)), sign == "-"


def _time(text: Any) -> datetime | None:
    """Return the time of a booking, or None if it is not a time with a zone."""
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo else None
    except (TypeError, ValueError, OverflowError):
        return None


def responses_of(
    uetrs: Sequence[Uetr], response: HttpResponse, kinds: frozenset[Kind]
) -> Responses:
    """Return the bank's response to each transfer of a message."""
    if response.status in _ACCESS_REFUSED:
        return _same_response(uetrs, Kind.NOT_ASKED, f"status {response.status}")
    if response.status in _CLIENT_ERRORS:
        return _same_response(uetrs, Kind.REFUSED, f"status {response.status}")
    results = response.body.get("results") if isinstance(response.body, dict) else None
    if response.status not in _OK or not isinstance(results, list):
        return _same_response(uetrs, Kind.NO_ANSWER, f"status {response.status}, no results")
    return _match_by_uetr(uetrs, results, kinds)


def _match_by_uetr(uetrs: Sequence[Uetr], results: list[Any], kinds: frozenset[Kind]) -> Responses:
    """Match by UETR, not by order; a missing or repeated UETR is UNCLEAR."""
    named = [(uetr, result) for result in results if (uetr := _uetr(result))]
    times = Counter(uetr for uetr, _ in named)
    found = {uetr: _response(result, kinds) for uetr, result in named if times[uetr] == 1}
    responses = {uetr: found.get(uetr, BankResponse(Kind.UNCLEAR)) for uetr in uetrs}
    unclear = sum(response.kind is Kind.UNCLEAR for response in responses.values())
    if unclear:
        _log.warning("answer_unclear", count=unclear)
    return responses


def _response(result: dict[str, Any], kinds: frozenset[Kind]) -> BankResponse:
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


def _same_response(uetrs: Sequence[Uetr], kind: Kind, reason: str) -> Responses:
    _log.warning("bank_did_not_do", status=kind, reason=reason, count=len(uetrs))
    return dict.fromkeys(uetrs, BankResponse(kind))


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
    """The memory twin: books each UETR once; tests can switch faults on.

    The payee selects the behaviour, as at the development banks: `rejected`, `late` (until
    `is_late` is cleared), `refused` (every message with it is refused), `failing` (every message
    with it is a server error) and `garbled` (its result is unreadable). `others` are UETRs that
    the bank has under other transfers.
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
    """Not idempotent: a repeated UETR moves money again."""
    statements: dict[date, list[StatementEntry]] = field(default_factory=dict)
    """The statements by day, set by the test."""
    fails_after_rows: int | None = None
    """Number of a statement's entries after which the bank is down."""
    statement_rows: int = STATEMENT_ROWS
    most_rows: int = 100
    fails_on: Collection[str] = ("send", "enquire")
    """Messages for which a `failing` payee causes a server error."""

    async def send(self, instructions: Sequence[Instruction]) -> Responses:
        uetrs = [instruction.uetr for instruction in instructions]
        if self.is_down:
            return _same_response(uetrs, Kind.NOT_ASKED, "down")
        self.messages.append(("send", uetrs))
        if self.loses_requests:
            return _same_response(uetrs, Kind.NO_ANSWER, "request lost")
        if len(uetrs) > self.most_rows:
            return _same_response(uetrs, Kind.REFUSED, "status 413")
        if any(_behaves(row, "refused") or row.uetr in self.others for row in instructions):
            return _same_response(uetrs, Kind.REFUSED, "status 422")
        if self._fails("send", instructions):
            return _same_response(uetrs, Kind.FAILED, "status 500")
        for instruction in instructions:
            self._book(instruction)
        return self._respond(instructions)

    async def enquire(self, instructions: Sequence[Instruction]) -> Responses:
        uetrs = [instruction.uetr for instruction in instructions]
        if self.is_down:
            return _same_response(uetrs, Kind.NOT_ASKED, "down")
        self.messages.append(("enquire", uetrs))
        if self.loses_requests:
            return _same_response(uetrs, Kind.NO_ANSWER, "request lost")
        if self._fails("enquire", instructions):
            return _same_response(uetrs, Kind.FAILED, "status 500")
        return self._respond(instructions)

    async def statement(self, day: date, after: str | None) -> StatementPage:
        if self.is_down:
            raise Unavailable("down")
        entries = self.statements.get(day, [])
        start = int(after or 0)
        if self.fails_after_rows is not None and start >= self.fails_after_rows:
            raise Unavailable("down")
        end = start + self.statement_rows
        return StatementPage(entries[start:end], str(end) if end < len(entries) else None)

    def _fails(self, message: str, instructions: Sequence[Instruction]) -> bool:
        return message in self.fails_on and any(_behaves(row, "failing") for row in instructions)

    def _book(self, instruction: Instruction) -> None:
        if _behaves(instruction, "rejected"):
            self.rejected.add(instruction.uetr)
        elif self.books_repeats or instruction.uetr not in self.booked:
            self.booked[instruction.uetr] += 1

    def _respond(self, instructions: Sequence[Instruction]) -> Responses:
        if self.loses_answers:
            uetrs = [instruction.uetr for instruction in instructions]
            return _same_response(uetrs, Kind.NO_ANSWER, "answer lost")
        return {instruction.uetr: self._response_to(instruction) for instruction in instructions}

    def _response_to(self, instruction: Instruction) -> BankResponse:
        if _behaves(instruction, "garbled"):
            return BankResponse(Kind.UNCLEAR)
        if instruction.uetr in self.others:
            return BankResponse(Kind.ACCEPTED)
        if instruction.uetr in self.rejected:
            return BankResponse(Kind.REJECTED, "account_closed", f"B-{instruction.uetr.hex[:8]}")
        if instruction.uetr not in self.booked:
            return BankResponse(Kind.NOT_FOUND)
        if _behaves(instruction, "late") and self.is_late:
            return BankResponse(Kind.PENDING)
        return BankResponse(Kind.ACCEPTED, None, f"B-{instruction.uetr.hex[:8]}")


def _behaves(instruction: Instruction, behaviour: str) -> bool:
    return instruction.creditor_account.endswith(f"payee-{behaviour}")
