"""`make chaos`: real processes under load, one fault after the other, checked after each."""

import argparse
import asyncio
import sys
import time

from chaos_faults import FAULTS, Fault
from chaos_run import Order, Outcome, Run, arena_of

SMOKE_PAYMENTS = 1_000
FULL_PAYMENTS = 10_000
RATE_PER_S = 20.0
MOST_SHOWN = 20


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="draws payments, victims and times")
    parser.add_argument("--only", default="", help="one fault, by its name")
    parser.add_argument("--full", action="store_true", help="the full run; writes the results")
    return parser.parse_args()


def order_of(asked: argparse.Namespace) -> Order:
    """Return what was asked for. Raises SystemExit where no fault has that name."""
    known = {fault.name: fault for fault in FAULTS}
    if asked.only and asked.only not in known:
        sys.exit(f"no fault is called {asked.only!r}; there are: {', '.join(known)}")

    def strikes(fault: Fault) -> int:
        return fault.full if asked.full else fault.smoke

    chosen = [known[asked.only]] if asked.only else [one for one in FAULTS if strikes(one)]
    total = FULL_PAYMENTS if asked.full else SMOKE_PAYMENTS
    share = len(chosen) / len([one for one in FAULTS if strikes(one)])
    return Order(
        asked.seed,
        [(one, strikes(one) or 1) for one in chosen],
        int(total * share),
        RATE_PER_S,
    )


async def run(order: Order) -> tuple[list[Outcome], str]:
    """Run it; return a row for each fault, and where the logs are."""
    async with arena_of(order.seed, tell) as arena:
        return await Run(arena, order, tell).whole(), str(arena.stack.layout.logs)


def tell(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


def main() -> int:
    """Run what is asked for; return 1 where anything is wrong."""
    asked = arguments()
    outcomes, logs = asyncio.run(run(order_of(asked)))
    wrong = [one for outcome in outcomes for one in outcome.violations]
    for line in wrong[:MOST_SHOWN]:
        print(f"  {line}")
    total = sum(outcome.payments for outcome in outcomes)
    print(f"{total} payments, {len(outcomes)} faults, {len(wrong)} violations")
    if wrong:
        target = "chaos-full" if asked.full else "chaos"
        print(f"again: make {target} SEED={asked.seed} ONLY='{outcomes[-1].fault}'; logs: {logs}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
