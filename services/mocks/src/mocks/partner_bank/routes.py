"""What partner banks answer over HTTP."""

import hmac
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

import orjson
from fastapi import Request
from fastapi.responses import Response, StreamingResponse

from mocks.bodies import Refused, invalid, query, read_json
from mocks.edge import Mock
from mocks.faults import NO_ANSWER, Faults
from mocks.partner_bank.book import Book, Busy, Conflict
from mocks.partner_bank.statements import Line, ToldStatement, line_of
from mocks.partner_bank.transfers import (
    REFUSED_PAYEE,
    SILENT_PAYEE,
    Enquiry,
    Instruction,
    Instructions,
    Transfer,
    batch_outcome,
    is_at,
    is_payee,
    not_found,
    order_of,
    outcome,
    take_in,
)
from service_runtime.web import JsonResponse

MAX_PAGE = 1000
"""Entries of a statement in one answer, where pages are asked for: about 250 kB."""
LARGE = 10
"""Transfers past which `refuse_large` finds a message too large."""


@dataclass(frozen=True, slots=True)
class Banks:
    """Which banks there are, what each demands of a client, and how long a late payee takes."""

    secrets_by_partner: Mapping[str, str]
    late_s: float

    def admit(self, request: Request, faults: Faults) -> str:
        """Return the bank that is spoken to; raise Refused where it is unknown or refuses."""
        partner: str = request.path_params["partner"]
        secret = self.secrets_by_partner.get(partner)
        if secret is None:
            raise Refused(404, {"error": f"Unknown partner: {partner[:64]}"})
        presented = request.headers.get("authorization", "").encode()
        refused = faults.strikes("refuse_credential", partner.encode())
        if refused or not hmac.compare_digest(presented, f"Bearer {secret}".encode()):
            details = f"A credential of {partner} is required"
            body = {"error": "Unauthorized", "details": details}
            raise Refused(401, body, {"WWW-Authenticate": "Bearer"})
        return partner


class Routes:
    """The banks' routes."""

    def __init__(self, banks: Banks, book: Book, mock: Mock) -> None:
        self._banks = banks
        self._book = book
        self._clock = mock.clock
        self._silence = mock.silence
        self._faults = mock.faults

    async def send(self, request: Request) -> Response:
        """Take one transfer in; a late payee's answer is late, a silent one's never comes."""
        partner = self._banks.admit(request, self._faults)
        asked = await read_json(request, Instruction)
        _check_key(request, asked.uetr)
        (transfer,) = await self._take_in(partner, [asked])
        if is_payee(transfer.order, SILENT_PAYEE):
            await self._silence.hold(request.receive)
            return NO_ANSWER
        await self._wait_for(transfer, request)
        return JsonResponse(outcome(transfer, self._clock.now()), 201)

    async def send_batch(self, request: Request) -> Response:
        """Take up to 100 transfers in; all are answered at once, none holds up another."""
        partner = self._banks.admit(request, self._faults)
        asked = await read_json(request, Instructions)
        if len(asked.transfers) > LARGE and self._faults.strikes("refuse_large", partner.encode()):
            raise Refused(413, {"error": "Body too large"})
        transfers = await self._take_in(partner, asked.transfers)
        now = self._clock.now()
        return JsonResponse({"results": [batch_outcome(transfer, now) for transfer in transfers]})

    async def enquire(self, request: Request) -> Response:
        """Say at once how up to 100 transfers stand."""
        partner = self._banks.admit(request, self._faults)
        uetrs = [str(uetr) for uetr in (await read_json(request, Enquiry)).uetrs]
        known, now = await self._find(partner, uetrs), self._clock.now()
        results = [
            outcome(known[uetr], now) if uetr in known else not_found(uetr) for uetr in uetrs
        ]
        return JsonResponse({"results": results})

    async def look_up(self, request: Request) -> Response:
        """Say at once how one transfer stands."""
        partner = self._banks.admit(request, self._faults)
        uetr = str(_uetr(request.path_params["uetr"], "uetr"))
        known = await self._find(partner, [uetr])
        if uetr not in known:
            raise Refused(404, {"error": f"Unknown transfer: {uetr}"})
        return JsonResponse(outcome(known[uetr], self._clock.now()))

    async def statement(self, request: Request) -> Response:
        """List what one bank says that it booked on a day: all of it, or a page where asked."""
        partner = self._banks.admit(request, self._faults)
        told = ToldStatement(self._book, self._faults, partner, self._clock.now())
        day = _day(request)
        if "limit" not in request.query_params:
            return StreamingResponse(_json_of(told.whole(day)), media_type="application/json")
        after = query(request, "after") if "after" in request.query_params else None
        try:
            return JsonResponse(await told.page(day, after, _limit(request)))
        except Busy as busy:
            raise _unavailable(busy) from None
        except ValueError:
            raise Refused(400, invalid("after", "must be what `next` said")) from None

    async def whole_statement(self, request: Request) -> Response:
        """List what all banks booked on a day; a window for tests, so nothing is demanded."""
        slices = self._book.statement(_day(request), self._clock.now())
        lines = (list(map(line_of, entries)) async for entries in slices)
        return StreamingResponse(_json_of(lines), media_type="application/json")

    async def _take_in(self, partner: str, asked: Sequence[Instruction]) -> list[Transfer]:
        if any(is_at(one.creditor_account, REFUSED_PAYEE) for one in asked):
            raise Refused(422, {"error": "Unknown account", "details": "creditor_account"})
        now, late = self._clock.now(), timedelta(seconds=self._banks.late_s)
        transfers = [take_in(partner, order_of(one), now, late) for one in asked]
        try:
            entered = await self._entered(partner, transfers, now)
            _refuse_others(asked, entered)
        except Conflict as conflict:
            uetr = asked[conflict.position].uetr
            details = f"uetr {uetr} belongs to a different transfer"
            raise Refused(422, {"error": "UETR reused", "details": details}) from None
        except Busy as busy:
            raise _unavailable(busy) from None
        return entered

    async def _entered(
        self, partner: str, transfers: Sequence[Transfer], now: datetime
    ) -> list[Transfer]:
        repeated = await self._repeated(partner, transfers)
        entered = await self._book.enter(partner, transfers)
        if repeated:
            await self._book.repeat(partner, repeated, now)
        return entered

    async def _repeated(self, partner: str, transfers: Sequence[Transfer]) -> list[str]:
        """Name those that came before, at a bank that books whatever it is sent."""
        uetrs = [one.order.uetr for one in transfers]
        twice = [
            uetr
            for uetr in uetrs
            if self._faults.strikes("book_repeats", f"{partner} {uetr}".encode())
        ]
        known = await self._book.find(partner, twice) if twice else {}
        return [uetr for uetr in twice if uetr in known]

    async def _find(self, partner: str, uetrs: Sequence[str]) -> dict[str, Transfer]:
        try:
            return await self._book.find(partner, uetrs)
        except Busy as busy:
            raise _unavailable(busy) from None

    async def _wait_for(self, transfer: Transfer, request: Request) -> None:
        booked_at = transfer.booked_at or self._clock.now()
        left_s = (booked_at - self._clock.now()).total_seconds()
        if left_s > 0:
            await self._silence.hold(request.receive, left_s)


def _refuse_others(asked: Sequence[Instruction], entered: Sequence[Transfer]) -> None:
    """Raise Conflict where the bank has another transfer under a UETR."""
    for position, (one, transfer) in enumerate(zip(asked, entered, strict=True)):
        if transfer.order != order_of(one):
            raise Conflict(position)


def _unavailable(busy: Busy) -> Refused:
    body = {"error": "Service unavailable", "details": str(busy)}
    return Refused(503, body, {"Retry-After": "1"})


def _check_key(request: Request, uetr: UUID) -> None:
    key = request.headers.get("idempotency-key", "")
    if not key:
        raise Refused(400, {"error": "Missing header: Idempotency-Key"})
    if _uetr(key, "Idempotency-Key") != uetr:
        raise Refused(400, invalid("Idempotency-Key", "must be the transfer's uetr"))


def _uetr(text: str, field: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Refused(400, invalid(field, "must be a UUID")) from None


def _day(request: Request) -> date:
    text = query(request, "date")
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    # `fromisoformat` reads other spellings too; the contract has one. Year 9999 has no next day.
    if day is None or day.isoformat() != text or day == date.max:
        raise Refused(400, invalid("date", "must be a day as YYYY-MM-DD"))
    return day


def _limit(request: Request) -> int:
    text = query(request, "limit")
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_PAGE):
        raise Refused(400, invalid("limit", f"must be a number from 1 to {MAX_PAGE}"))
    return int(text)


async def _json_of(slices: AsyncIterator[Sequence[Line]]) -> AsyncIterator[bytes]:
    """Write the statement as it is read: a day may hold more than fits into memory."""
    yield b'{"entries":['
    separator = b""
    async for lines in slices:
        if lines:
            yield separator + b",".join(map(orjson.dumps, lines))
            separator = b","
    yield b"]}"
