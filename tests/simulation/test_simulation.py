"""A part of the simulation, and the repetition of runs."""

import os
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
from simulated_flows import (
    BACKLOGS,
    FLOWS,
    backlogs_of,
    crashes_of,
    named,
    places_of,
    replay_of,
    zombies_of,
)
from simulated_world import random_plan, run, run_seed

from service_runtime.clock import SystemClock

FIXED = (*range(4, 33), 44, 381)
"""The last two: funds that do not suffice, and a lock on a user's codes, which few seeds have."""
FRESH = 20
EVERY = 12
HERE = Path(__file__).parent


def broken(plans):
    """Run plans; return the violations by the command that repeats the run."""
    results = [(name, run(plan).violations) for name, plan in plans]
    return {replay_of(name): list(map(str, found)) for name, found in results if found}


def seeds(numbers):
    return [(f"seed {number}", random_plan(number)) for number in numbers]


@pytest.fixture(scope="module")
def fixed():
    return {number: run_seed(number) for number in FIXED}


def test_fixed_seeds_violate_no_invariant(fixed):
    found = {replay_of(f"seed {number}"): result.violations for number, result in fixed.items()}
    assert {command: broken for command, broken in found.items() if broken} == {}


def test_fresh_seeds_violate_no_invariant():
    first = SystemClock().new_id().int % 1_000_000_000
    assert broken(seeds(range(first, first + FRESH))) == {}


@pytest.mark.parametrize("flow", FLOWS)
def test_a_crash_at_any_point_of_a_flow_violates_no_invariant(flow):
    """At every sixteenth point from a random one; `make simulate` runs all points."""
    first = SystemClock().new_id().int % EVERY
    assert broken(islice(crashes_of(flow), first, None, EVERY)) == {}


def test_a_zombie_at_any_point_of_the_unknown_outcome_violates_no_invariant():
    first = SystemClock().new_id().int % EVERY
    zombies = zombies_of("unknown, settled", "settlement")
    assert broken(islice(zombies, first, None, EVERY)) == {}


@pytest.mark.parametrize(("flow", "service"), BACKLOGS)
def test_a_service_that_pauses_past_every_deadline_moves_no_money_afterwards(flow, service):
    first = SystemClock().new_id().int % 2
    assert broken(islice(backlogs_of(flow, service), first, None, EVERY)) == {}


def test_the_seeds_produce_the_intended_events(fixed):
    """Without these events the passing seeds would prove nothing."""
    seen = frozenset().union(*[result.seen for result in fixed.values()])
    assert seen >= {
        "CONFIRMED", "insufficient_funds", "not_permitted", "otp_exhausted", "timed_out",
        "settlement SETTLED", "settlement REJECTED", "instruction UNKNOWN", "instruction SENT",
        "instruction RECONCILE", "forged report", "Kafka SETTLED", "Kafka REJECTED",
        "200", "401", "403", "409", "422", "429", "Crash", "Freeze",
        "refused too_many", "refused locked", "refused undeliverable",
        "name screened", "name listed", "payer listed", "payer unnamed",
    }  # fmt: skip


def test_a_crash_ends_the_process_at_its_point():
    """A run with a crash equals the run without it up to the crash."""
    place = next(one for one in places_of("low risk") if one.label == "commit")
    plan = dict(crashes_of("low risk"))[f"low risk {place}"]
    quiet, crashed = places_of("low risk"), run(plan)
    at = quiet.index(place) + 1
    assert crashed.places[:at] == quiet[:at]
    assert crashed.places != quiet
    assert "Crash" in crashed.seen


def test_a_run_is_named_and_found_by_its_name():
    (name, plan), *_ = crashes_of("low risk")
    assert named(name) == plan
    assert named("seed 7") == random_plan(7)


def digest_of(seed, hash_seed):
    """Run a seed in another process with another hash seed."""
    script = f"from simulated_world import run_seed; print(run_seed({seed}).digest)"
    ran = subprocess.run(
        [sys.executable, "-c", script],
        cwd=HERE,
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return ran.stdout


def test_a_seed_replays_identically(fixed):
    assert fixed[11].digest == run_seed(11).digest
    assert fixed[11].digest != fixed[12].digest


def test_a_seed_replays_identically_in_another_process(fixed):
    assert digest_of(11, "1") == f"{fixed[11].digest}\n"
