"""`make mutation-test`: plants each bug and prints the invariant that detects it, and the run."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from multiprocessing import Pool

from planted_bugs import BUGS, Bug
from simulated_flows import BACKLOG_S, BACKLOGS, FLOWS, backlogs_of, crashes_of, zombies_of
from simulated_world import Plan, random_plan, run

WORKERS = 2
SEEDS = 1000
FORGED = "by Kafka, forged reports"


@dataclass(frozen=True)
class Catch:
    """The detection of a bug."""

    bug: str
    run: str
    violations: list[str]


def backlogs() -> Iterator[tuple[str, Plan]]:
    """Yield the runs in which late inputs would be carried out."""
    yield from chain.from_iterable(backlogs_of(*backlog) for backlog in BACKLOGS)


def zombies() -> Iterator[tuple[str, Plan]]:
    """Yield the runs in which a transfer would be sent twice."""
    yield from zombies_of("unknown, sent once", "settlement")
    # Long enough for people to decide before the process goes on.
    yield from zombies_of("unknown, sent once", "settlement", BACKLOG_S)


def trials(bug: Bug, seeds: int) -> Iterator[tuple[str, Plan]]:
    """Yield the runs that must detect a bug: directed ones by invariant, seeds, then zombies."""
    if "I14" in bug.shown_by:
        yield from backlogs()
        return
    if "I2" in bug.shown_by:
        yield FORGED, FLOWS[FORGED]
        yield from zombies()
    if "I5" in bug.shown_by:
        yield from crashes_of("unknown, settled")
    for seed in range(seeds):
        yield f"seed {seed}", random_plan(seed)
    yield from chain.from_iterable(
        zombies_of(flow, "settlement") for flow in ("unknown, settled", "unknown, rejected")
    )


def hunt(number: int, seeds: int = SEEDS) -> Catch | None:
    """Run a bug until one of its invariants detects it; None if none does."""
    bug = BUGS[number]
    with bug.plant():
        for name, plan in trials(bug, seeds):
            found = run(plan).violations
            if any(one.invariant in bug.shown_by for one in found):
                shown = [str(one) for one in found if one.invariant in bug.shown_by]
                return Catch(bug.name, name, shown)
    return None


def main() -> int:
    """Print one line for each bug; return 1 if one was not detected."""
    caught = 0
    with Pool(WORKERS) as pool:
        for bug, catch in zip(BUGS, pool.imap(hunt, range(len(BUGS))), strict=True):
            caught += catch is not None
            where = f"{catch.run:<10} {catch.violations[0]}" if catch else "NOT CAUGHT"
            print(f"{bug.name:<30} {where}", flush=True)
    print(f"{caught}/{len(BUGS)} planted bugs detected")
    return int(caught < len(BUGS))


if __name__ == "__main__":
    sys.exit(main())
