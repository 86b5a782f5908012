"""Hundreds of orders of an identity check's events: one check, one status, for a reason."""

import os

import pytest
from kyc_interleavings import World, planted

SEEDS = int(os.environ.get("KYC_SEEDS", "400"))


async def violation_of(seed):
    """Return the invariant that a seed breaks, or None, and what happened in its world."""
    world = World(seed)
    try:
        await world.run()
    except AssertionError as error:
        return f"seed {seed}: {error}", world.seen
    return None, world.seen


async def test_no_order_of_events_breaks_an_invariant():
    seen = set()
    for seed in range(SEEDS):
        found, happened = await violation_of(seed)
        assert found is None
        seen |= happened
    # The samples reach each of these, or they would prove nothing of it.
    assert seen >= {
        "result clear", "result consider", "result None", "rejected", "verified by a person",
        "expired", "erased", "killed", "late webhook",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("bug", "shown_by"),
    [
        ("a check is begun without a look-up", "K1"),
        ("no result counts as a clear one", "K2"),
        ("a renewal forgets a rejection", "K5"),
        ("nobody is given up", "K4"),
    ],
)
async def test_a_planted_bug_is_found(monkeypatch, bug, shown_by):
    planted(monkeypatch, bug)
    for seed in range(SEEDS):
        found, _ = await violation_of(seed)
        if found is not None:
            assert shown_by in found
            return
    pytest.fail("no seed finds it")
