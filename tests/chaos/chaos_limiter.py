"""One customer with too many requests: the limit must hold during a failure of Redis."""

import asyncio
import time
from collections.abc import Coroutine

from chaos_arena import INSTANCES, Arena, NotHealedError

LIMIT_PER_MINUTE = 120
"""Limit of each customer: higher than the default, because clients repeat during a fault."""
AT_ONCE = 100
EVERY_S = 0.5
UNTIL_S = 55
"""Within one window of a minute."""


async def accepted_at_most(arena: Arena, fault: Coroutine[None, None, str], wipes: int) -> str:
    """Send requests during the fault. Raises NotHealedError if too many were accepted.

    Each wipe resets the shared count; while Redis is down each gateway counts separately.
    """
    (customer,) = await arena.customers(1)
    striking = asyncio.create_task(fault)
    began_s = time.monotonic()
    asked = let_in = 0
    while not striking.done() and time.monotonic() - began_s < UNTIL_S:
        edge = arena.edges[asked // AT_ONCE % INSTANCES]
        answers = await asyncio.gather(*(edge.confirm(customer) for _ in range(AT_ONCE)))
        asked += AT_ONCE
        let_in += sum(answer.status_code != 429 for answer in answers)
        await asyncio.sleep(EVERY_S)
    note = await striking
    most = LIMIT_PER_MINUTE * (1 + wipes + INSTANCES)
    if let_in > most:
        raise NotHealedError(
            f"the limiter accepted {let_in} of {asked}, at most {most} are allowed"
        )
    return f"{note}; the limiter let {let_in} of {asked} in, {most} at most"
