"""`make simulate`: every flow with every crash, then seeds; a failure prints its repetition."""

import argparse
import sys
import time
from collections.abc import Iterable, Iterator
from itertools import chain
from multiprocessing import Pool

from simulated_flows import directed, named, replay_of
from simulated_world import Plan, random_plan, run

WORKERS = 2
SHOW_EVERY_S = 10.0
MOST_SHOWN = 20
Named = tuple[str, Plan]


def seeds(first: int, count: int) -> Iterator[Named]:
    for seed in range(first, first + count):
        yield f"seed {seed}", random_plan(seed)


def judge(one: Named) -> tuple[str, str, list[str]]:
    name, plan = one
    result = run(plan)
    return name, result.digest, [str(violation) for violation in result.violations]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10_000, help="how many seeds")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--only", default="", help="one directed run, by its name")
    return parser.parse_args()


def chosen(asked: argparse.Namespace) -> Iterable[Named]:
    if asked.only:
        return [(asked.only, named(asked.only))]
    if asked.seeds == 1:
        return seeds(asked.first, 1)
    return chain(directed(), seeds(asked.first, asked.seeds))


def main() -> int:
    """Run the selected plans; return 1 for a violated invariant."""
    asked = arguments()
    began_s = shown_s = time.monotonic()
    done = failed = 0
    with Pool(WORKERS) as pool:
        for name, digest, violations in pool.imap_unordered(judge, chosen(asked), chunksize=8):
            done += 1
            if violations:
                failed += 1
                show(name, violations) if failed <= MOST_SHOWN else None
            if asked.only or asked.seeds == 1:
                print(f"{name}: trace {digest}")
            if time.monotonic() - shown_s > SHOW_EVERY_S:
                shown_s = time.monotonic()
                print(f"{done} runs, {failed} failed, at {name}", flush=True)
    print(f"{done} runs, {failed} failed, {time.monotonic() - began_s:.0f} s")
    return int(failed > 0 or done == 0)


def show(name: str, violations: list[str]) -> None:
    print(name)
    for violation in violations[:5]:
        print(f"  {violation}")
    print(f"  repeat: {replay_of(name)}")


if __name__ == "__main__":
    sys.exit(main())
