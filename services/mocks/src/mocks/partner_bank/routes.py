"""The HTTP routes of the partner banks."""

import hmac
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

import orjson
from fastapi import Request
from fastapi.responses import Response, StreamingResponse

from mocks.bodies import Refused, invalid, query, read_json
from mocks.edge import Mock
from mocks.faults import NO_RESPONSE, Faults
from mocks.partner_bank.ledger import BankLedger, Busy, Conflict
from mocks.partner_bank.statements import FaultyStatement, Line, line_of
from mocks.partner_bank.transfers import (
    REFUSED_PAYEE,
    SILENT_PAYEE,
    Enquiry,
    Instruction,
    Instructions,
    Transfer,
    accept,
    batch_outcome,
    is_at,
    is_payee,
    not_found,
    order_of,
    outcome,
)
from service_runtime.clock import Clock
from service_runtime.keys import NamedSecrets, SecretFile
from service_runtime.web import JsonResponse

MAX_PAGE = 1000
"""Entries of a statement page: about 250 kB."""
LARGE_BATCH = 10
"""`refuse_large` refuses a batch of more transfers."""


@dataclass(frozen=True, slots=True)
class Banks:
    """The banks with their credentials, and the delay of a late payee."""

    secrets: SecretFile[NamedSecrets]
    """By bank the accepted credentials."""
    late_s: float

    def admit(self, request: Request, faults: Faults) -> str:
        """Return the requested bank; raise Refused if it is unknown or refuses the credential."""
        partner: str = request.path_params["partner"]
        if partner not in self.secrets.get():
            raise Refused(404, {"error": f"Unknown partner: {partner[:64]}"})
        presented = request.headers.get("authorization", "").encode()
        refused = faults.affects("refuse_credential", partner.encode())
        if refused or not self._accepts(partner, presented):
            details = f"A credential of {partner} is required"
            body = {"error": "Unauthorized", "details": details}
            raise Refused(401, body, {"WWW-Authenticate": "Bearer"})
        return partner

    def _accepts(self, partner: str, presented: bytes) -> bool:
        # An unknown credential may be one that the file has had for less than a second.
        return any(
            hmac.compare_digest(presented, f"Bearer {secret}".encode())
            for now in (False, True)
            for secret in self.secrets.get(now=now).get(partner, ())
        )


@dataclass(frozen=True, slots=True)
class Statements:
    """The bookings of all banks of a ledger; for tests and checks, without a credential."""

    ledger: BankLedger
    clock: Clock

    async def whole(self, request: Request) -> Response:
        """List the bookings of a day."""
        slices = self.ledger.statement(_day(request), self.clock.now())
        lines = (list(map(line_of, entries)) async for entries in slices)
        return StreamingResponse(_json_of(lines), media_type="application/json")


class Routes:
    """The banks' routes."""

    def __init__(self, banks: Banks, ledger: BankLedger, mock: Mock) -> None:
        self._banks = banks
        self._ledger = ledger
        self._clock = mock.clock
        self._held_requests = mock.held_requests
        self._faults = mock.faults

    async def send(self, request: Request) -> Response:
        """Accept one transfer; a late payee's response is late, a silent payee has none."""
        partner = self._banks.admit(request, self._faults)
        instructions = await read_json(request, Instruction)
        _check_key(request, instructions.uetr)
        (transfer,) = await self._accept(partner, [instructions])
        if is_payee(transfer.order, SILENT_PAYEE):
            await self._held_requests.hold(request.receive)
            return NO_RESPONSE
        await self._wait_for(transfer, request)
        return JsonResponse(outcome(transfer, self._clock.now()), 201)

    async def send_batch(self, request: Request) -> Response:
        """Accept up to 100 transfers and respond at once for all of them."""
        partner = self._banks.admit(request, self._faults)
        instructions = await read_json(request, Instructions)
        if len(instructions.transfers) > LARGE_BATCH and self._faults.affects(
            "refuse_large", partner.encode()
        ):
            raise Refused(413, {"error": "Body too large"})
        transfers = await self._accept(partner, instructions.transfers)
        now = self._clock.now()
        return JsonResponse({"results": [batch_outcome(transfer, now) for transfer in transfers]})

    async def enquire(self, request: Request) -> Response:
        """Return the status of up to 100 transfers at once."""
        partner = self._banks.admit(request, self._faults)
        uetrs = [str(uetr) for uetr in (await read_json(request, Enquiry)).uetrs]
        known, now = await self._find(partner, uetrs), self._clock.now()
        results = [
            outcome(known[uetr], now) if uetr in known else not_found(uetr) for uetr in uetrs
        ]
        return JsonResponse({"results": results})

    async def look_up(self, request: Request) -> Response:
        """Return the status of one transfer at once."""
        partner = self._banks.admit(request, self._faults)
        uetr = str(_uetr(request.path_params["uetr"], "uetr"))
        known = await self._find(partner, [uetr])
        if uetr not in known:
            raise Refused(404, {"error": f"Unknown transfer: {uetr}"})
        return JsonResponse(outcome(known[uetr], self._clock.now()))

    async def statement(self, request: Request) -> Response:
        """List the statement of one bank and day: complete, or one page."""
        partner = self._banks.admit(request, self._faults)
        result = FaultyStatement(self._ledger, self._faults, partner, self._clock.now())
        day = _day(request)
        if "limit" not in request.query_params:
            return StreamingResponse(_json_of(result.whole(day)), media_type="application/json")
        after = query(request, "after") if "after" in request.query_params else None
        try:
            return JsonResponse(await result.page(day, after, _limit(request)))
        except Busy as busy:
            raise _unavailable(busy) from None
        except ValueError:
            raise Refused(400, invalid("after", "must be a value of `next`")) from None

    async def _accept(self, partner: str, instructions: Sequence[Instruction]) -> list[Transfer]:
        if any(is_at(one.creditor_account, REFUSED_PAYEE) for one in instructions):
            raise Refused(422, {"error": "Unknown account", "details": "creditor_account"})
        now, late = self._clock.now(), timedelta(seconds=self._banks.late_s)
        transfers = [accept(partner, order_of(one), now, late) for one in instructions]
        try:
            accepted = await self._insert_all(partner, transfers, now)
            _refuse_mismatches(instructions, accepted)
        except Conflict as conflict:
            uetr = instructions[conflict.position].uetr
            details = f"uetr {uetr} belongs to a different transfer"
            raise Refused(422, {"error": "UETR reused", "details": details}) from None
        except Busy as busy:
            raise _unavailable(busy) from None
        return accepted

    async def _insert_all(
        self, partner: str, transfers: Sequence[Transfer], now: datetime
    ) -> list[Transfer]:
        repeated = await self._repeated(partner, transfers)
        accepted = await self._ledger.insert(partner, transfers)
        if repeated:
            await self._ledger.repeat(partner, repeated, now)
        return accepted

    async def _repeated(self, partner: str, transfers: Sequence[Transfer]) -> list[str]:
        """Return the repeated UETRs at a bank that is not idempotent."""
        uetrs = [one.order.uetr for one in transfers]
        twice = [
            uetr
            for uetr in uetrs
            if self._faults.affects("book_repeats", f"{partner} {uetr}".encode())
        ]
        known = await self._ledger.find(partner, twice) if twice else {}
        return [uetr for uetr in twice if uetr in known]

    async def _find(self, partner: str, uetrs: Sequence[str]) -> dict[str, Transfer]:
        try:
            return await self._ledger.find(partner, uetrs)
        except Busy as busy:
            raise _unavailable(busy) from None

    async def _wait_for(self, transfer: Transfer, request: Request) -> None:
        booked_at = transfer.booked_at or self._clock.now()
        left_s = (booked_at - self._clock.now()).total_seconds()
        if left_s > 0:
            await self._held_requests.hold(request.receive, left_s)


def _refuse_mismatches(instructions: Sequence[Instruction], accepted: Sequence[Transfer]) -> None:
    """Raise Conflict if the bank has another transfer with a UETR."""
    for position, (one, transfer) in enumerate(zip(instructions, accepted, strict=True)):
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
    # `fromisoformat` accepts other formats, too; the contract has one. Year 9999 has no next day.
    if day is None or day.isoformat() != text or day == date.max:
        raise Refused(400, invalid("date", "must be a day as YYYY-MM-DD"))
    return day


def _limit(request: Request) -> int:
    text = query(request, "limit")
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_PAGE):
        raise Refused(400, invalid("limit", f"must be a number from 1 to {MAX_PAGE}"))
    return int(text)


async def _json_of(slices: AsyncIterator[Sequence[Line]]) -> AsyncIterator[bytes]:
    """Stream the statement: a day may exceed memory."""
    yield b'{"entries":['
    separator = b""
    async for lines in slices:
        if lines:
            yield separator + b",".join(map(orjson.dumps, lines))
            separator = b","
    yield b"]}"
