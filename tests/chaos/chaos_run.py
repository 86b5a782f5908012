"""One run: rounds of load with one fault each, and a check after each fault."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from random import Random

from chaos_arena import INSTANCES, MOCKS, OURS, Arena, NotHealedError
from chaos_checker import REST_WITHIN_S, at_rest, check, judge, read_stored_data
from chaos_clients import Payment, payments
from chaos_faults import Fault
from chaos_limiter import LIMIT_PER_MINUTE
from chaos_links import Link
from chaos_log import Log
from chaos_network import detours, links
from chaos_tables import dead_letters, never

from local_stack.stack import Stack
from testbed.stack import WHOLE_SYSTEM_FURTHER, offset_of_this_run, only_run

CUSTOMERS = 200
UNLIMITED_CODES = dict.fromkeys(
    ("LIVE_CHALLENGES", "CHALLENGES_PER_HOUR", "CHALLENGES_PER_DAY"), "100000"
)
"""Limits for few customers who pay with codes for hours."""
LIMIT = {"RATE_LIMIT_PER_MINUTE": str(LIMIT_PER_MINUTE)}
READY_WITHIN_S = 180
TELL_EVERY_S = 20.0


@dataclass(frozen=True)
class Order:
    """The configuration of a run."""

    seed: int
    faults: list[tuple[Fault, int]]
    """Each with its number of injections."""
    payments: int
    rate_per_s: float


@dataclass
class Outcome:
    """A row of the table."""

    fault: str
    strikes: int
    payments: int = 0
    seconds: float = 0.0
    note: str = ""
    violations: list[str] = field(default_factory=list)


@asynccontextmanager
async def arena_of(seed: int, tell: Callable[[str], None]) -> AsyncIterator[Arena]:
    """Start the whole system, two instances of each service; stop it at the end."""
    offset = offset_of_this_run() + 2 * WHOLE_SYSTEM_FURTHER
    between = links(offset)
    async with AsyncExitStack() as undo:
        undo.enter_context(only_run(offset))
        stack = Stack(offset, overrides=_overrides(between))
        stack.kafka_between = between["kafka"].port
        stack.ready_within_s = READY_WITHIN_S
        stack.reset()
        for link in between.values():
            await link.open()
            undo.push_async_callback(link.close)
        undo.push_async_callback(asyncio.to_thread, stack.stop)
        tell("starting Kafka, PostgreSQL, Redis and two instances of each service")
        await asyncio.to_thread(_start, stack)
        arena = Arena(stack, between, seed, Log(stack.layout.logs / "chaos"))
        undo.push_async_callback(arena.close)
        yield arena


def _overrides(between: Mapping[str, Link]) -> dict[str, dict[str, str]]:
    through = detours(between)
    overrides = {"gateway": LIMIT, "otp": UNLIMITED_CODES}
    return through | {name: through.get(name, {}) | more for name, more in overrides.items()}


def _start(stack: Stack) -> None:
    stack.start_infrastructure()
    stack.start_services((*MOCKS, *OURS, "ops"), instances=dict.fromkeys(OURS, INSTANCES))


class Run:
    """One run on one system."""

    def __init__(self, arena: Arena, order: Order, tell: Callable[[str], None]) -> None:
        self._arena = arena
        self._order = order
        self._tell = tell
        self._known: set[str] = set()
        self._dead_letters = 0

    async def whole(self) -> list[Outcome]:
        """Run all rounds; stop after the first one without recovery."""
        self._customers = await self._arena.customers(CUSTOMERS)
        drawn = payments(Random(self._order.seed), self._customers, self._arena.name)
        outcomes: list[Outcome] = []
        for fault, strikes in self._order.faults:
            outcome = await self._round(fault, strikes, drawn)
            outcomes.append(outcome)
            self._tell(
                f"{outcome.fault} x {strikes}: {outcome.payments} payments, "
                f"{outcome.seconds:.0f} s, {len(outcome.violations)} violations; {outcome.note}"
            )
            if outcome.violations:
                break
        return outcomes

    async def _round(self, fault: Fault, strikes: int, drawn: Iterator[Payment]) -> Outcome:
        outcome = Outcome(fault.name, strikes)
        began_s, before = time.monotonic(), len(self._arena.clients.paid)
        for customer in self._customers:
            await self._arena.edge.renew(customer)
        telling = asyncio.create_task(self._keep_telling(fault, began_s))
        try:
            with _unhealed(outcome.violations):
                outcome.note = await self._load_under(fault, strikes, drawn)
            # Also after a failure: unfinished work would be reported as violations.
            with _unhealed(outcome.violations):
                await at_rest(self._arena)
        finally:
            telling.cancel()
        last = fault is self._order.faults[-1][0]
        outcome.violations += await self._violations(full=last)
        before, self._dead_letters = self._dead_letters, await dead_letters(self._arena)
        if not fault.causes_dead_letters and self._dead_letters != before:
            outcome.violations.append(f"{self._dead_letters - before} records became dead letters")
        outcome.payments = len(self._arena.clients.paid) - before
        outcome.seconds = time.monotonic() - began_s
        return outcome

    async def _keep_telling(self, fault: Fault, began_s: float) -> None:
        """Report the progress of a long round."""
        while True:
            await asyncio.sleep(TELL_EVERY_S)
            for_s = time.monotonic() - began_s
            self._tell(f"{fault.name}, {for_s:.0f} s: {len(self._arena.clients.paid)} payments")

    async def _load_under(self, fault: Fault, strikes: int, drawn: Iterator[Payment]) -> str:
        """Inject the fault while clients pay; they continue until recovery and enough payments.

        A fault that needs an idle system is injected after all payments.
        """
        enough = self._order.payments // len(self._order.faults) + 1
        if not fault.under_load:
            await self._arena.clients.drive(
                drawn, self._order.rate_per_s, lambda sent: sent < enough
            )
            await at_rest(self._arena)
            return await fault.strike(self._arena, strikes)
        striking = asyncio.create_task(fault.strike(self._arena, strikes))
        paying = asyncio.create_task(
            self._arena.clients.drive(
                drawn, self._order.rate_per_s, lambda sent: sent < enough or not striking.done()
            )
        )
        try:
            await asyncio.wait({striking})
            await self._arena.all_back()
            await asyncio.wait_for(paying, REST_WITHIN_S + enough)
            return striking.result()
        finally:
            striking.cancel()
            paying.cancel()

    async def _violations(self, *, full: bool) -> list[str]:
        """Return the new violations."""
        arena = self._arena
        stored = await read_stored_data(arena)
        found = await check(arena, full=full) + await never(arena)
        found += judge(arena.clients.paid, arena.log.operations, stored, arena.opening_minor)
        new = [one for one in found if one not in self._known]
        self._known.update(new)
        return new


@contextmanager
def _unhealed(violations: list[str]) -> Iterator[None]:
    """Record what did not recover in time."""
    try:
        yield
    except* (NotHealedError, TimeoutError) as broken:
        violations += [f"I8 {str(one) or 'no final response'}" for one in broken.exceptions]
