"""Thousands of orders of events: one charge, at one provider, and no refund beyond it."""

import os
from collections import Counter

import pytest
from interleavings import PROVIDERS, World

from charges.domain.charge import PAID, Status
from charges.domain.replies import Kind
from double_entry.rules import Account, faults_of, internal_account

SEEDS = int(os.environ.get("CHARGE_SEEDS", "3000"))
"""`make simulate-charges SEEDS=10000` runs more."""
LIES = 0.3
"""Share of the replies in which a lying provider lies."""


def agrees(world):
    """Our view is the providers'."""
    charge = world.charge
    captured = [r for name in PROVIDERS for r in world.providers[name].captures]
    refunded = sum(sum(world.providers[name].refunds.values()) for name in PROVIDERS)
    assert len(captured) <= 1, "charged twice"
    assert bool(captured) == (charge.status in PAID)
    assert refunded == charge.refunded_minor
    assert charge.refunding_minor == 0
    if charge.status in (Status.DECLINED, Status.FAILED, Status.CANCELLED):
        kinds = {kind for one in world.providers.values() for kind in one.payments.values()}
        assert kinds <= {Kind.DECLINED, Kind.CANCELLED}


def balances(world):
    transfers = world.ledger.transfers
    sums = Counter()
    for one in transfers:
        for name, delta in one.deltas:
            sums[name] += delta
    accounts = [
        Account(name, None, "EUR", sums[name], internal_account(name, "EUR").minimum_minor)
        for name in world.ledger.internal_accounts
    ]
    assert list(faults_of(accounts, transfers)) == []
    left = world.charge.captured_minor - world.charge.refunded_minor
    assert sums["merchant:usr-1:EUR"] == left
    assert all(sums[name] == 0 for name in sums if name.startswith("refunding:"))


@pytest.mark.parametrize("part", range(3))
def test_no_order_of_events_charges_twice_or_refunds_too_much(part):
    ends, late = Counter(), 0
    for seed in range(part * SEEDS // 3, (part + 1) * SEEDS // 3):
        world = World(seed).run()
        try:
            assert world.is_over, world.charge
            agrees(world)
            balances(world)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}") from error
        ends[world.charge.status] += 1
        late += world.late
    # The samples reach every end, or they would prove nothing of it.
    assert set(ends) >= {Status.CAPTURED, Status.DECLINED, Status.CANCELLED, Status.REFUNDED}
    assert late == 0, "a provider that does not lie contradicts nothing"


def captures_of(world):
    """What the providers have captured, by their own books."""
    kinds = [kind for name in PROVIDERS for kind in world.providers[name].payments.values()]
    return kinds.count(Kind.CAPTURED)


def test_a_provider_that_lies_is_found_out_and_our_books_stay_right():
    """A lie may cost a charge; it must not pass unnoticed, nor make a refund or a transfer more.

    Of a reservation that the provider says it has cancelled, no webhook tells the truth: it lapses,
    and no money has moved.
    """
    found_out = 0
    for seed in range(SEEDS // 3):
        world = World(seed, LIES).run()
        try:
            assert world.is_over, world.charge
            balances(world)
            agree = captures_of(world) == (world.charge.status in PAID)
            assert agree or world.late, "money was taken, and nobody sees it"
        except AssertionError as error:
            raise AssertionError(f"seed {seed}") from error
        found_out += not agree
    assert found_out > SEEDS // 300, "the provider has lied to no effect"
