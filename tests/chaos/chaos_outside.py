"""External services do not respond, respond late, refuse, or return wrong statements."""

import asyncio
import json
import time
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

import httpx
from chaos_arena import Arena, NotHealedError

PARTNERS = ("first-bank", "north-bank")
"""The banks over HTTP; south-bank sends its statements over Kafka, without faults."""
SMALL_S = 12.0
"""Longer than a breaker's window of 10 s."""
BREAKER_WITHIN_S = 45.0
"""Banks are called again within this time after a failure: a breaker stays open for 30 s."""


async def partner_loses(arena: Arena, count: int) -> str:
    """At the banks a fifth of requests and of responses are lost, and a fifth are late."""
    return await _broken(arena, "partner_bank", count, lose_request=0.2, lose_answer=0.2, slow=0.2)


async def partner_errs(arena: Arena, count: int) -> str:
    return await _broken(arena, "partner_bank", count, error=0.5)


async def partner_down(arena: Arena, count: int) -> str:
    return await _broken(arena, "partner_bank", count, down=1.0)


async def ofac_down(arena: Arena, count: int) -> str:
    return await _broken(arena, "ofac", count, down=1.0)


async def ofac_slow(arena: Arena, count: int) -> str:
    return await _broken(arena, "ofac", count, slow=0.5)


async def kyc_down(arena: Arena, count: int) -> str:
    return await _broken(arena, "kyc", count, down=1.0)


async def kyc_slow(arena: Arena, count: int) -> str:
    return await _broken(arena, "kyc", count, slow=0.5)


async def _broken(arena: Arena, mock: str, count: int, **rates: float) -> str:
    await arena.break_mock(mock, **rates)
    try:
        await asyncio.sleep(SMALL_S * count)
    finally:
        await arena.break_mock(mock)
    return f"for {SMALL_S * count:.0f} s"


async def partner_lies(arena: Arena, _count: int) -> str:
    """Statements omit, alter or repeat transfers: each one is found."""
    found = 0
    for kind, name in (
        ("omit_from_statement", "missing_there"),
        ("wrong_amount_on_statement", "amount_differs"),
        # Last, because settlement stores the bookings of a statement.
        ("twice_on_statement", "missing_here"),
    ):
        await arena.break_mock("partner_bank", **{kind: 0.3})
        try:
            found += await _lies_found(arena, name)
        finally:
            await arena.break_mock("partner_bank")
    return f"{found} lies, all found"


async def _lies_found(arena: Arena, name: str) -> int:
    """Compare each bank's statement with its ledger; `reconcile` must find all differences."""
    total = 0
    today = datetime.now(UTC).date().isoformat()
    for partner in PARTNERS:
        wrong_lines = await _wrong_lines(arena, partner, today)
        status, report = await _reconciled(arena, partner, today)
        if isinstance(report, str) or report[name] != wrong_lines or status != bool(wrong_lines):
            raise NotHealedError(
                f"{partner} has {wrong_lines} wrong lines, reconcile reports {report}"
            )
        total += wrong_lines
    return total


async def _reconciled(arena: Arena, partner: str, today: str) -> tuple[int, Any]:
    """Reconcile; repeat it while the bank does not respond after an earlier fault."""
    deadline = time.monotonic() + BREAKER_WITHIN_S
    while True:
        order = ("--partner", partner, "--date", today)
        status, report = await arena.countersign.json("reconcile", *order)
        if not isinstance(report, str) or time.monotonic() > deadline:
            return status, report
        await asyncio.sleep(1)


async def _wrong_lines(arena: Arena, partner: str, today: str) -> int:
    """Count the entries of a bank's ledger that its statement omits, alters or repeats."""
    stack = arena.stack.description()
    secret = json.loads(stack.credentials.read("partner-credentials"))[partner]
    url = f"{stack.url('partner_bank')}/banks/{partner}/statement"
    headers = {"Authorization": f"Bearer {secret}"}
    async with httpx.AsyncClient(headers=headers, timeout=60) as http:
        answer = (await http.get(url, params={"date": today})).raise_for_status()
    stated: defaultdict[str, list[str]] = defaultdict(list)
    for entry in answer.json()["entries"]:
        stated[entry["uetr"]].append(entry["amount"])
    return sum(
        stated[entry["uetr"]] != [entry["amount"]]
        for entry in await arena.edge.statement()
        if entry["partner"] == partner and entry["booked_at"].startswith(today)
    )
