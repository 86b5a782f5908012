"""The service screening is killed while payees' names wait for it: none passes unscreened."""

import asyncio
from importlib.util import find_spec

from chaos_arena import Arena
from chaos_clients import Payment

from local_stack import discovery
from testbed.edge import Customer

SCREENING = "screening"
IS_INSTALLED = find_spec("nomenklatura") is not None
"""Whether the packages of the group risk are: `make chaos G=risk`."""
LISTED, INNOCENT = "Oleskandr Varennikov", "Maria Garcia"
PAYMENTS = 20
"""Of one kill, every fifth with a listed name."""


async def kill_screening(arena: Arena, count: int) -> str:
    """SIGKILL screening, which risk asks instead of the OFAC mock, under payments with names."""
    await asyncio.to_thread(_start, arena)
    slowest_s = 0.0
    try:
        for customer in await arena.customers(count):
            payments = [_payment(customer, number) for number in range(PAYMENTS)]
            arena.clients.paid += payments
            paying = asyncio.gather(*(arena.clients.until_final(one) for one in payments))
            await asyncio.sleep(arena.chance.uniform(0, 0.5))
            slowest_s = max(slowest_s, await arena.kill(SCREENING))
            await paying
    finally:
        await asyncio.to_thread(_stop, arena)
    return f"{PAYMENTS} payments with names at each kill, ready again within {slowest_s:.1f} s"


def _start(arena: Arena) -> None:
    arena.stack.start_services([SCREENING])
    arena.stack.refresh()


def _stop(arena: Arena) -> None:
    arena.stack.stop_process(SCREENING)
    del arena.stack.instances[SCREENING]
    arena.stack.refresh()
    # Commands read where the services are: no longer screening, whose group they would check.
    discovery.describe(arena.stack.layout, arena.stack.description())


def _payment(customer: Customer, number: int) -> Payment:
    """Return a payment; a listed name makes it one that must be declined."""
    is_listed = number % 5 == 0
    return Payment(
        f"{customer.account}-named-{number}",
        customer,
        "blocked" if is_listed else "plain",
        "once",
        10_00 + number,
        "payee-known",
        LISTED if is_listed else INNOCENT,
    )
