"""What must hold at rest: the system's own check, and what only the clients' log can show."""

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

from ops.clients.listings import PAYMENTS_EXPORT, TIMELINES_EXPORT, Listing
from ops.domain.rows import Row

REST_WITHIN_S = 180
"""Seconds; UNKNOWN transfers alone may take 120 after the partner answers again."""
GRACE_S = 30
ACCOUNTS_PAGE = 1000
EXPECTED = {0, 200, 202, 401, 403, 409, 422, 429, 503}
LATER = {202, 429, 503}
"""Answers that must say when to ask again."""


@dataclass(frozen=True)
class Books:
    """What the system and the banks have, by transaction id."""

    payments: dict[str, Row]
    """As confirm exports them."""
    booked_minor: dict[str, list[int]]
    """Each movement at a bank."""
    balances: dict[str, int]
    """Minor units, by account."""
    screened: set[str] = field(default_factory=set)
    """Payment ids whose timeline holds a risk result."""


async def at_rest(arena: Arena) -> None:
    """Wait until nothing is unfinished and every record is read. Raises NotHealedError."""

    async def rests() -> bool:
        try:
            found = await arena.edge.admin("confirm", "/check", unfinished_after_s=0)
            return not found["unfinished"] and await lag(arena.stack.kafka) == 0
        except (httpx.HTTPError, KafkaError):
            return False

    await until(rests, REST_WITHIN_S, "the system does not come to rest")


async def check(arena: Arena, *, full: bool) -> list[str]:
    """Hold the system at rest against its invariants by its own command.

    Full: every record of every topic, and all answers in them; it takes that much longer.
    """
    limits = ("--grace", str(GRACE_S), "--unfinished-after", "1", "--days", "2")
    _, found = await arena.countersign.json("check", *limits, *(["--full"] * full))
    if isinstance(found, str):
        return [f"check: {found}"]
    wrong = [f"{v['invariant']} {v['about']}: {v['details']}" for v in found["violations"]]
    return wrong + [f"check: {sentence}" for sentence in found["missing"]]


async def read_books(arena: Arena) -> Books:
    """Read what the system and the banks have of this run."""
    exported = await _every(arena, PAYMENTS_EXPORT)
    timelines = await _every(arena, TIMELINES_EXPORT)
    booked: dict[str, list[int]] = defaultdict(list)
    for entry in await arena.edge.statement():
        booked[entry["end_to_end_id"]].append(int(Decimal(entry["amount"]) * 100))
    listed = await arena.edge.admin(
        "confirm", "/accounts", prefix=f"{arena.name}-", limit=ACCOUNTS_PAGE
    )
    return Books(
        payments={row["transaction_id"]: row for row in exported},
        booked_minor=booked,
        balances={row["id"]: row["balance_minor"] for row in listed["accounts"]},
        screened={row["payment_id"] for row in timelines if "RISK_ASSESSED" in row["events"]},
    )


async def _every(arena: Arena, export: Listing) -> list[Row]:
    return await asyncio.to_thread(list, arena.operations.pages(export))


def judge(
    paid: Iterable[Payment], operations: Iterable[Operation], books: Books, opening_minor: int
) -> list[str]:
    """Hold the clients' log against the books."""
    answers: dict[str, list[Operation]] = defaultdict(list)
    for operation in operations:
        answers[operation.transaction_id].append(operation)
    found: list[str] = []
    spent: Counter[str] = Counter()
    for payment in paid:
        row = books.payments.get(payment.transaction_id, {})
        told = answers[payment.transaction_id]
        wrong = (*_of_answers(payment, told, row, books), *_of_books(payment, row, books))
        found += [f"{sentence}: {payment.transaction_id}" for sentence in wrong]
        if row.get("settlement_status") == "SETTLED":
            spent[payment.customer.account] += payment.amount_minor
    return found + [
        f"I3 the balance is {left}, not {opening_minor - spent[account]}: {account}"
        for account, left in books.balances.items()
        if left != opening_minor - spent[account]
    ]


def _of_answers(
    payment: Payment, told: list[Operation], row: dict[str, Any], books: Books
) -> Iterator[str]:
    """What the clients were told, against what is so."""
    final = {one.body for one in told if _decides(one)}
    if len(final) > 1:
        yield f"I7 final answers differ {sorted(final)}"
    if not final:
        yield f"I8 no final answer, the last is {told[-1].body if told else 'none'}"
    if final and {status_in(body) for body in final} != {_public(row)}:
        yield f"I1 the client was told {sorted(final)}, the books say {row.get('status')}"
    if "SUCCESS" in map(status_in, final) and row.get("payment_id") not in books.screened:
        yield "I12 SUCCESS before screening"
    for one in told:
        if one.sent == "other amount" and one.result == "ok":
            yield "I10 another amount was accepted under the same key"
        if one.status not in EXPECTED:
            yield f"an answer that nobody should get, {one.status} {one.body}"
        if one.status in LATER and not one.retry_after:
            yield f"{one.status} without Retry-After"


def _of_books(payment: Payment, row: dict[str, Any], books: Books) -> Iterator[str]:
    """What the payment's kind demands, and what the banks moved for it."""
    moved = books.booked_minor.get(payment.transaction_id, [])
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
    """The status that a client is told for a state that is final."""
    return {"CONFIRMED": "SUCCESS", "DECLINED": "DECLINED"}.get(row.get("status", ""))
