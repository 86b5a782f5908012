"""`make bench-routing`: what routing gains over the best fixed provider, with its interval.

Twenty worlds with two outages each; in each the best fixed provider is found in hindsight, so that
the gain is understated. Writes the plot of the regret.
"""

import statistics
import sys
import time
from pathlib import Path

from routing_world import OUTAGES, PROVIDERS, World

from bench.plots import Axis, Line, write_chart
from charges.domain.routing import FLOOR, Arm, Candidate, Limits, choose
from payment_schemas.money import Money
from service_runtime.clock import chance

SEEDS, PAYMENTS, STEP = 20, 20_000, 200
T_95 = 2.093
"""Student's t with 19 degrees of freedom."""
WINDOW = 50
RECOVERED = FLOOR + 0.06
PLOT = Path(__file__).parents[3] / "benchmarks/images/routing-regret.svg"


def curve(world, rule=None):
    """Return the share of successes and the regret after each step."""
    done, points = 0, []
    for number in range(PAYMENTS):
        done += world.pay(number, rule)
        if number % STEP == STEP - 1:
            points.append((number + 1, world.regret))
    return done / PAYMENTS, points


def recovery(world):
    """Return the payments after the begin of an outage until its provider is down to the floor."""
    found = []
    for provider, (first, last) in OUTAGES.items():
        names = [name for _, name, _ in world.routed[first:last]]
        shares = (
            names[start : start + WINDOW].count(provider) / WINDOW
            for start in range(len(names) - WINDOW)
        )
        found.append(
            next((n for n, share in enumerate(shares) if share <= RECOVERED), last - first)
        )
    return max(found)


def decision_ms():
    """Return the 95th percentile of one decision's CPU, in milliseconds."""
    candidates, drawn = [Candidate(name, Limits(), 100) for name in PROVIDERS], chance(1)
    arms, took = {name: Arm(40, 4) for name in PROVIDERS}, []
    for _ in range(10_000):
        began = time.thread_time()
        choose(candidates, "card", Money(5_000, "EUR"), arms, drawn)
        took.append(1000 * (time.thread_time() - began))
    return sorted(took)[9_500]


def mean_of(curves):
    """Return the mean of curves with the same places."""
    return [
        (points[0][0], statistics.fmean(y for _, y in points))
        for points in zip(*curves, strict=True)
    ]


def main():
    """Measure, print, draw; exit with 1 where a goal is missed."""
    gains, recoveries, routed, fixed = [], [], [], {name: [] for name in PROVIDERS}
    for seed in range(SEEDS):
        world = World(seed)
        learned, points = curve(world)
        routed.append(points)
        recoveries.append(recovery(world))
        rules = {name: curve(World(seed), name) for name in PROVIDERS}
        for name, (_, one) in rules.items():
            fixed[name].append(one)
        gains.append(100 * (learned - max(share for share, _ in rules.values())))
    mean, half = statistics.fmean(gains), T_95 * statistics.stdev(gains) / SEEDS**0.5
    best = min(PROVIDERS, key=lambda name: mean_of(fixed[name])[-1][1])
    lines = [Line("routed", mean_of(routed)), Line(f"{best} alone", mean_of(fixed[best]))]
    axes = Axis("payments"), Axis("successes missed")
    write_chart(PLOT, "Regret of routing, two outages", axes, lines)
    low, high, p95_ms = mean - half, mean + half, decision_ms()
    sys.stdout.write(
        f"gain over the best fixed provider: {mean:.2f} points, 95 % {low:.2f} to {high:.2f}\n"
        f"least gain of {SEEDS} worlds: {min(gains):.2f}\n"
        f"payments until a provider that is down has its floor: {max(recoveries)} at most\n"
        f"CPU of a decision, p95: {p95_ms:.3f} ms\n"
        f"wrote {PLOT.relative_to(PLOT.parents[2])}\n"
    )
    return low < 0.92 or max(recoveries) > 200 or p95_ms >= 1


if __name__ == "__main__":
    sys.exit(main())
