"""Routing: hard limits, exploration, and a provider that is down."""

import time

import pytest
from routing_world import PROVIDERS, World

from charges.domain.routing import (
    FLOOR,
    Arm,
    Candidate,
    Limits,
    choose,
    excluded,
    learn,
    segment_of,
)
from payment_schemas.money import Money
from service_runtime.clock import chance

MONEY = Money(5_000, "EUR")
OUTAGES = {"stripe": (1_000, 1_500), "adyen": (4_000, 4_500)}


def test_the_bandit_beats_the_best_fixed_rule_by_a_point():
    seed, payments = 1, 5_000
    learned = World(seed, OUTAGES).run(payments)
    best = max(World(seed, OUTAGES).run(payments, rule=one) for one in PROVIDERS)
    assert 100 * (learned - best) >= 0.92


@pytest.mark.parametrize("seed", range(3))
def test_a_provider_that_is_down_loses_its_traffic_within_200_payments(seed):
    world = World(seed, {"stripe": (1_000, 9_999)})
    world.run(1_300)
    assert world.share("stripe", 800, 1_000) > 0.2
    assert world.share("stripe", 1_200, 1_300) <= FLOOR + 0.06


def test_a_provider_that_is_back_gets_traffic_again():
    world = World(5, {"stripe": (500, 1_000)})
    world.run(2_600)
    assert world.share("stripe", 900, 1_000) < 0.15
    assert world.share("stripe", 2_200, 2_600) > 0.2


def test_every_provider_keeps_a_floor_and_the_probabilities_are_those_of_the_draw():
    candidates = [Candidate(name, Limits(), 100) for name in PROVIDERS]
    arms = {"stripe": Arm(500, 1), "adyen": Arm(1, 500), "third": Arm(1, 500)}
    choice = choose(candidates, "card", MONEY, arms, chance(3))
    shares = {name: one["probability"] for name, one in choice.reasons.items()}
    assert min(shares.values()) == pytest.approx(FLOOR / 3, abs=1e-6)
    assert sum(shares.values()) == pytest.approx(1, abs=1e-5)
    assert choice.propensity == pytest.approx(shares[choice.provider], abs=1e-6)
    drawn = chance(4)
    taken = [choose(candidates, "card", MONEY, arms, drawn).provider for _ in range(3_000)]
    assert taken.count("adyen") / 3_000 == pytest.approx(FLOOR / 3, abs=0.01)


def test_of_two_equal_providers_the_cheaper_one_gets_more():
    drawn, arms = chance(9), {"stripe": Arm(60, 6), "adyen": Arm(60, 6)}
    candidates = [Candidate("stripe", Limits(), 500), Candidate("adyen", Limits(), 100)]
    taken = [choose(candidates, "card", MONEY, arms, drawn).provider for _ in range(300)]
    assert taken.count("adyen") > 200


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(), None),
        (Limits(currencies=frozenset({"USD"})), "currency"),
        (Limits(methods=frozenset({"wallet"})), "method"),
        (Limits(most_minor=4_999), "amount"),
        (Limits(most_minor=5_000), None),
        (Limits(most_cost_ppm=19_999), "cost"),
        (Limits(most_cost_ppm=20_000), None),
    ],
)
def test_hard_limits_exclude_a_provider_whatever_was_learned(limits, reason):
    candidate = Candidate("stripe", limits, 100)
    assert excluded(candidate, "card", MONEY) == reason
    choice = choose([candidate], "card", MONEY, {"stripe": Arm(1000, 0)}, chance(1))
    assert choice.provider == (None if reason else "stripe")
    assert choice.propensity == (0.0 if reason else 1.0)


def test_an_open_breaker_excludes_a_provider():
    shut = Candidate("stripe", Limits(), 100, is_open=True)
    choice = choose([shut, Candidate("adyen", Limits(), 100)], "card", MONEY, {}, chance(1))
    assert (choice.provider, choice.reasons["stripe"]) == ("adyen", "breaker_open")


def test_what_was_learned_is_of_one_segment_and_fades():
    assert segment_of("card", MONEY) != segment_of("card", Money(500_000, "EUR"))
    assert segment_of("card", MONEY) != segment_of("card", Money(5_000, "USD"))
    arms = learn({"stripe": Arm(10, 0)}, "adyen", is_success=False)
    assert arms["adyen"] == Arm(0, 1)
    assert 9 < arms["stripe"].successes < 10


def test_a_decision_takes_less_than_a_millisecond():
    candidates, drawn = [Candidate(name, Limits(), 100) for name in PROVIDERS], chance(1)
    arms = {name: Arm(40, 4) for name in PROVIDERS}
    took = []
    for _ in range(1_000):
        began = time.thread_time()
        choose(candidates, "card", MONEY, arms, drawn)
        took.append(time.thread_time() - began)
    assert sorted(took)[950] < 0.001
