"""The checks after a fault: `countersign check`, and the clients' log."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import httpx
from aiokafka.errors import KafkaError
from chaos_arena import Arena, until
from chaos_clients import Payment, status_in
from chaos_kafka import lag
from chaos_log import Operation

from ops.check.examination import WITHOUT_LIVENESS
from ops.clients.listings import PAYMENTS_EXPORT, TIMELINES_EXPORT, Listing
from ops.domain.rows import Row

REST_WITHIN_S = 180
LOOK_WITHIN_S = 30
"""Seconds; UNKNOWN transfers may take 120 after the partner responds again."""
GRACE_S = 30
ACCOUNTS_PAGE = 1000
EXPECTED = {0, 200, 202, 401, 403, 409, 422, 429, 503}
LATER = {202, 429, 503}
"""Statuses that require Retry-After."""


@dataclass(frozen=True)
class StoredData:
    """The stored data of the system and the banks, by transaction id."""

    payments: dict[str, Row]
    """Payments as exported by confirm."""
    booked_minor: dict[str, list[int]]
    """Movements at the banks."""
    balances: dict[str, int]
    """Minor units, by account."""
    screened: set[str] = field(default_factory=set)
    """Payment ids with a risk result in their timeline."""


async def at_rest(arena: Arena) -> None:
    """Wait until all work has ended and all records are consumed. Raises NotHealedError."""

    async def rests() -> bool:
        try:
            # A client of Kafka may wait for good: a look has its own end.
            async with asyncio.timeout(LOOK_WITHIN_S):
                # The lag first: an operator's read is itself a record that audit consumes.
                if await lag(arena.stack.brokers) != 0:
                    return False
                # A row whose worker lost its database stays leased for seconds, at any owner.
                for owner in arena.operations.addresses.owners():
                    asked = {"unfinished_after_s": 0} if owner == "confirm" else {}
                    found = await arena.edge.admin(owner, "/check", **asked)
                    if owner != WITHOUT_LIVENESS and found["unfinished"]:
                        return False
                return True
        except (httpx.HTTPError, KafkaError, TimeoutError):
            return False

    await until(rests, REST_WITHIN_S, "the system does not come to rest")


async def check(arena: Arena, *, full: bool) -> list[str]:
    """Run `countersign check` and return its violations.

    Full: all records of all topics, and all replies in them; it takes longer.
    """
    limits = ("--grace", str(GRACE_S), "--unfinished-after", "1", "--days", "2")
    _, found = await arena.countersign.json("check", *limits, *(["--full"] * full))
    if isinstance(found, str):
        return [f"check: {found}"]
    wrong = [f"{v['invariant']} {v['about']}: {v['details']}" for v in found["violations"]]
    return wrong + [f"check: {sentence}" for sentence in found["missing"]]


async def read_stored_data(arena: Arena) -> StoredData:
    """Read the stored data of this run."""
    exported = await _every(arena, PAYMENTS_EXPORT)
    timelines = await _every(arena, TIMELINES_EXPORT)
    booked: dict[str, list[int]] = defaultdict(list)
    for entry in await arena.edge.statement():
        booked[entry["end_to_end_id"]].append(int(Decimal(entry["amount"]) * 100))
    listed = await arena.edge.admin(
        "confirm", "/accounts", prefix=f"{arena.name}-", limit=ACCOUNTS_PAGE
    )
    return StoredData(
        payments={row["transaction_id"]: row for row in exported},
        booked_minor=booked,
        balances={row["id"]: row["balance_minor"] for row in listed["accounts"]},
        screened={row["payment_id"] for row in timelines if "RISK_ASSESSED" in row["events"]},
    )


async def _every(arena: Arena, export: Listing) -> list[Row]:
    return await asyncio.to_thread(list, arena.operations.pages(export))


def judge(
    paid: Iterable[Payment], operations: Iterable[Operation], stored: StoredData, opening_minor: int
) -> list[str]:
    """Compare the clients' log with the stored data."""
    answers: dict[str, list[Operation]] = defaultdict(list)
    for operation in operations:
        answers[operation.transaction_id].append(operation)
    found: list[str] = []
    spent: Counter[str] = Counter()
    for payment in paid:
        row = stored.payments.get(payment.transaction_id, {})
        responses = answers[payment.transaction_id]
        wrong = (
            *_response_faults(payment, responses, row, stored),
            *_stored_faults(payment, row, stored),
        )
        found += [f"{sentence}: {payment.transaction_id}" for sentence in wrong]
        if row.get("settlement_status") == "SETTLED":
            spent[payment.customer.account] += payment.amount_minor
    return found + [
        f"I3 the balance is {left}, not {opening_minor - spent[account]}: {account}"
        for account, left in stored.balances.items()
        if left != opening_minor - spent[account]
    ]


def _response_faults(
    payment: Payment, responses: list[Operation], row: dict[str, Any], stored: StoredData
) -> Iterator[str]:
    """Compare the clients' responses with the payments."""
    final = {one.body for one in responses if _decides(one)}
    if len(final) > 1:
        yield f"I7 final responses differ {sorted(final)}"
    if not final:
        yield f"I8 no final response, the last is {responses[-1].body if responses else 'none'}"
    if final and {status_in(body) for body in final} != {_public(row)}:
        yield f"I1 the client got {sorted(final)}, stored is {row.get('status')}"
    if "SUCCESS" in map(status_in, final) and row.get("payment_id") not in stored.screened:
        yield "I12 SUCCESS before screening"
    for one in responses:
        if one.sent == "other amount" and one.result == "ok":
            yield "I10 another amount was accepted under the same key"
        if one.status not in EXPECTED:
            yield f"an unexpected response, {one.status} {one.body}"
        if one.status in LATER and not one.retry_after:
            yield f"{one.status} without Retry-After"


def _stored_faults(payment: Payment, row: dict[str, Any], stored: StoredData) -> Iterator[str]:
    """Compare the expected end of the payment with the stored one and the movements."""
    moved = stored.booked_minor.get(payment.transaction_id, [])
    settled = row.get("settlement_status") == "SETTLED"
    if moved != [payment.amount_minor] * settled:
        yield f"I2 settlement is {row.get('settlement_status')} and the banks moved {moved}"
    if row and row["amount_minor"] != payment.amount_minor:
        yield f"I10 booked with another amount, {row['amount_minor']}"
    expected = {
        "blocked": ("DECLINED", "NONE"),
        "guessed": ("DECLINED", "NONE"),
        "rejected": ("CONFIRMED", "REJECTED"),
    }.get(payment.kind, ("CONFIRMED", "SETTLED"))
    if row and (row["status"], row["settlement_status"]) != expected:
        yield f"a {payment.kind} payment is {row['status']}, {row['settlement_status']}"


def _decides(operation: Operation) -> bool:
    if operation.status == 200:
        return True
    return operation.status == 403 and status_in(operation.body) == "DECLINED"


def _public(row: dict[str, Any]) -> str | None:
    """Return the API status of a final state."""
    return {"CONFIRMED": "SUCCESS", "DECLINED": "DECLINED"}.get(row.get("status", ""))
