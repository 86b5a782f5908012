"""`make chaos-charges`: card payments while the providers lie and charges is killed.

The providers' mocks keep records of their own, which are the witness: they time out after they
have charged, reply after the time-out, lose requests, send webhooks twice, late or before the
reply, and are down.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
from chaos_arena import Arena, NotHealedError, until
from chaos_card_checker import ENDED, judge, records_of
from chaos_card_clients import Merchants, card_payments
from chaos_checker import check
from chaos_log import Log

from testbed.stack import WHOLE_SYSTEM_FURTHER, fresh_stack, offset_of_this_run

GROUPS = ("core", "edge", "rails")
PROVIDERS = ("stripe", "adyen")
RATE_PER_S = 5.0
LOAD_S = 16.0
KILLS = 3
MIX_S = (1.5, 3.0)
"""How long a provider misbehaves in one way."""
REST_WITHIN_S = 120.0
"""Generous, because the machine may be shared; it takes about 15 s: the lease of a killed process
and then an enquiry."""
READY_WITHIN_S = 180
CALM: dict[str, float] = {}
MIXES: tuple[dict[str, float], ...] = (
    CALM,
    {"lose_answer": 0.5},
    {"slow": 0.6},
    {"lose_request": 0.3, "error": 0.2},
    {"webhook_before_reply": 1.0, "lose_answer": 0.3},
    {"webhook_twice": 1.0, "webhook_late": 1.0, "slow": 0.3},
    {"down": 1.0},
)
UNLIMITED = "1000000"
OVERRIDES = {
    "charges": {
        "PROVIDER_TIMEOUT_S": "1",
        "PROVIDER_OPEN_S": "1",
        "CHARGE_ENQUIRY_FIRST_S": "0.2",
        "CHARGE_ENQUIRY_MOST_S": "2",
        "CHARGE_IN_FLIGHT_S": "8",
        "CHARGES_PER_MINUTE": UNLIMITED,
        "READS_PER_MINUTE": UNLIMITED,
    },
    # Later than charges waits, sooner than it believes that nothing arrives any more.
    **{name: {"FAULT_SLOW_S": "1.6", "WEBHOOK_LATE_S": "2"} for name in PROVIDERS},
}
Tell = Callable[[str], None]


@asynccontextmanager
async def card_arena(seed: int, tell: Tell) -> AsyncIterator[Arena]:
    """Start core, edge and rails, one process of each service; stop them at the end."""
    offset = offset_of_this_run() + 2 * WHOLE_SYSTEM_FURTHER
    with fresh_stack(offset, OVERRIDES) as stack:
        stack.ready_within_s = READY_WITHIN_S
        services = [one.name for one in stack.inventory.of_groups(GROUPS)]
        tell(f"starting {len(services)} services")
        await asyncio.to_thread(stack.start_services, services)
        arena = Arena(stack, {}, seed, Log(stack.layout.logs / "chaos"), instances=1)
        try:
            yield arena
        finally:
            await arena.close()


class CardRun:
    """One run: load with faults, rest, and the comparison."""

    def __init__(self, arena: Arena, tell: Tell) -> None:
        self._arena = arena
        self._tell = tell
        self._kills = 0

    async def whole(self) -> list[str]:
        """Return the violations."""
        token = await self._arena.edge.token("usr-chaos", "charges.write")
        merchants = Merchants(self._arena.edge.http, token)
        self._tell(f"card payments for {LOAD_S:.0f} s")
        violations = await self._load(merchants)
        self._tell("each payment has an outcome; waiting for refunds and webhooks")
        reads = await self._reads(merchants)
        violations += judge(merchants.paid, reads, records_of(await self._listed()))
        self._tell(_summary(merchants, self._kills))
        return violations + await check(self._arena, full=False)

    async def _load(self, merchants: Merchants) -> list[str]:
        drawn = card_payments(self._arena.chance, self._arena.name)
        unhealed: list[str] = []
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(merchants.drive(drawn, RATE_PER_S, LOAD_S))
                group.create_task(self._kill())
                for name in PROVIDERS:
                    group.create_task(self._disturb(name))
        except* NotHealedError as broken:
            unhealed += [f"I8 {one}" for one in broken.exceptions]
        return unhealed

    async def _kill(self) -> None:
        """SIGKILL charges again and again, at any time of the load."""
        end_s = time.monotonic() + LOAD_S
        while self._kills < KILLS and time.monotonic() < end_s:
            await asyncio.sleep(self._arena.chance.uniform(1.0, LOAD_S / KILLS))
            await self._arena.kill("charges")
            self._kills += 1

    async def _disturb(self, mock: str) -> None:
        """Have a provider misbehave in one way after the other, and at the end in none."""
        end_s = time.monotonic() + LOAD_S
        while time.monotonic() < end_s:
            await self._arena.break_mock(mock)
            if mix := self._arena.chance.choice(MIXES):
                await self._arena.break_mock(mock, **mix)
            await asyncio.sleep(self._arena.chance.uniform(*MIX_S))
        await self._arena.break_mock(mock)

    async def _reads(self, merchants: Merchants) -> dict[str, dict[str, Any]]:
        """Wait until all payments and refunds have ended; repeat each request, and return them."""
        reads: dict[str, dict[str, Any]] = {}

        async def ended() -> bool:
            for one in merchants.paid:
                if one.transaction_id and not _is_ended(reads.get(one.transaction_id, {})):
                    reads[one.transaction_id] = await merchants.read(one)
            return all(map(_is_ended, reads.values()))

        try:
            await until(ended, REST_WITHIN_S, "charges does not come to rest")
        except NotHealedError:
            return reads  # which the comparison then names, one by one
        for one in merchants.paid:
            for request in (one.charge, *one.changes):
                await merchants.send(request)
        # A repeat has no effect: what is compared is read after it.
        return {name: await merchants.read_of(name) for name in reads}

    async def _listed(self) -> dict[str, list[dict[str, Any]]]:
        found = {}
        async with httpx.AsyncClient(timeout=20) as http:
            for name in PROVIDERS:
                url = f"{self._arena.stack.description().url(name)}/payments"
                found[name] = (await http.get(url)).raise_for_status().json()["payments"]
        return found


def _is_ended(read: dict[str, Any]) -> bool:
    refunds = read.get("refunds", ())
    are_ended = all(one["status"] in {"SUCCEEDED", "FAILED"} for one in refunds)
    return read.get("status") in ENDED and are_ended


def _summary(merchants: Merchants, kills: int) -> str:
    requests = [one for each in merchants.paid for one in (each.charge, *each.changes)]
    sent = [status for one in requests for status, _ in one.responses]
    unknown = sum(status in {0, 202, 503, 504} for status in sent)
    return (
        f"{len(merchants.paid)} payments, {len(requests)} requests sent {len(sent)} times, "
        f"{unknown} responses without an outcome, {kills} kills of charges"
    )
