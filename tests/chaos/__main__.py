"""`make chaos`: real processes under load, one fault after the other, a check after each.

`--charges`: `make chaos-charges`.
"""

import argparse
import asyncio
import logging
import sys
import time

from chaos_card_run import CardRun, card_arena
from chaos_faults import FAULTS, Fault
from chaos_results import table, write
from chaos_run import Order, Outcome, Run, arena_of

SMOKE_PAYMENTS = 1_000
FULL_PAYMENTS = 10_000
SMOKE_PER_S = 20.0
FULL_PER_S = 6.0
"""Clients pay during all faults; about this many payments are made at the end."""
MOST_SHOWN = 20


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="draws payments, victims and times")
    parser.add_argument("--only", action="append", default=[], help="a fault, by its name")
    parser.add_argument("--full", action="store_true", help="the full run; writes the results")
    parser.add_argument("--charges", action="store_true", help="card payments, and no other fault")
    return parser.parse_args()


def order_of(asked: argparse.Namespace) -> Order:
    """Return the selected run. Raises SystemExit for an unknown fault."""
    known = {fault.name: fault for fault in FAULTS}
    if strangers := set(asked.only) - known.keys():
        sys.exit(f"no fault is called {strangers.pop()!r}; there are: {', '.join(known)}")

    def strikes(fault: Fault) -> int:
        return fault.full if asked.full else fault.smoke

    every = [fault for fault in FAULTS if strikes(fault)]
    chosen = [known[name] for name in asked.only] or every
    total = FULL_PAYMENTS if asked.full else SMOKE_PAYMENTS
    share = len(chosen) / len(every)
    return Order(
        asked.seed,
        [(one, strikes(one) or 1) for one in chosen],
        int(total * share),
        FULL_PER_S if asked.full else SMOKE_PER_S,
    )


async def run(order: Order) -> tuple[list[Outcome], str]:
    """Run it; return a row for each fault, and the folder of the logs."""
    async with arena_of(order.seed, tell) as arena:
        return await Run(arena, order, tell).whole(), str(arena.stack.layout.logs)


async def run_charges(seed: int) -> tuple[list[str], str]:
    """Run `make chaos-charges`; return the violations, and the folder of the logs."""
    async with card_arena(seed, tell) as arena:
        return await CardRun(arena, tell).whole(), str(arena.stack.layout.logs)


def charges(seed: int) -> int:
    """Return 1 for a violation."""
    wrong, logs = asyncio.run(run_charges(seed))
    for line in wrong[:MOST_SHOWN]:
        print(f"  {line}")
    print(f"{len(wrong)} violations")
    if wrong:
        print(f"repeat: make chaos-charges SEED={seed}; logs: {logs}")
    return int(bool(wrong))


def tell(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


def main() -> int:
    """Run the selected faults; return 1 for a violation."""
    asked = arguments()
    # It logs every connection that a fault has broken.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    if asked.charges:
        return charges(asked.seed)
    outcomes, logs = asyncio.run(run(order_of(asked)))
    wrong = [one for outcome in outcomes for one in outcome.violations]
    for line in wrong[:MOST_SHOWN]:
        print(f"  {line}")
    for line in table(outcomes):
        print(line)
    if asked.full and not asked.only:
        write(outcomes, asked.seed)
    if wrong:
        target = "chaos-full" if asked.full else "chaos"
        print(f"repeat: make {target} SEED={asked.seed} ONLY='{outcomes[-1].fault}'; logs: {logs}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
