"""Off-policy estimates: right on average, with intervals that hold, and refused where they lie."""

from uuid import UUID

import pytest

from charges.domain.evaluation import Logged, TargetPolicy, evaluate
from service_runtime.clock import chance

RATES = {
    ("USD", "stripe"): 0.93,
    ("USD", "adyen"): 0.80,
    ("EUR", "stripe"): 0.75,
    ("EUR", "adyen"): 0.9,
}
LOGGING = {"stripe": 0.7, "adyen": 0.3}
BEST = TargetPolicy({}, {"USD": {"stripe": 1}, "EUR": {"adyen": 1}})
TRUTH = (0.93 + 0.9) / 2


def logged(seed, count=2_000, propensities=None):
    drawn, found = chance(seed), []
    shares = propensities or LOGGING
    for number in range(count):
        segment = "USD" if drawn.random() < 0.5 else "EUR"
        provider = "stripe" if drawn.random() < shares["stripe"] else "adyen"
        is_success = drawn.random() < RATES[segment, provider]
        row = Logged(
            UUID(int=number), segment, provider, shares[provider], ("adyen", "stripe"), is_success
        )
        found.append(row)
    return found


def within(estimate, truth):
    return abs(estimate.value - truth) <= estimate.half_width


def test_each_estimate_is_the_policys_true_success_within_its_interval():
    held = dict.fromkeys(("ips", "snips", "doubly_robust"), 0)
    means = dict.fromkeys(held, 0.0)
    for seed in range(100):
        found = evaluate(logged(seed), BEST)
        for name in held:
            held[name] += within(getattr(found, name), TRUTH)
            means[name] += getattr(found, name).value / 100
    # Of 100 intervals of 95 %, 88 at least hold with a probability of 99.6 %.
    assert min(held.values()) >= 88
    # The mean of 100 estimates by IPS has a standard error of 0.0025: four of them.
    assert means == pytest.approx(dict.fromkeys(held, TRUTH), abs=0.01)


def test_the_doubly_robust_estimate_is_the_narrowest():
    found = evaluate(logged(1), BEST)
    assert found.doubly_robust.half_width < found.ips.half_width
    assert found.snips.half_width < found.ips.half_width


def test_the_policy_that_was_logged_is_estimated_by_what_was_seen():
    found = evaluate(logged(2), TargetPolicy(LOGGING, {}))
    assert found.effective == pytest.approx(found.choices)
    assert found.ips.value == pytest.approx(found.logged.value)


def test_a_policy_that_the_choices_say_too_little_of_is_refused():
    rare = logged(3, propensities={"stripe": 0.99, "adyen": 0.01})
    always_adyen = TargetPolicy({"adyen": 1}, {})
    found = evaluate(rare, always_adyen)
    assert found.share < 0.05
    assert (found.ips, found.snips, found.doubly_robust) == (None, None, None)
    assert evaluate([], always_adyen).ips is None


def test_a_policy_keeps_to_the_providers_that_might_have_been_chosen():
    one = Logged(UUID(int=1), "USD", "adyen", 1.0, ("adyen",), is_success=True)
    policy = TargetPolicy({"stripe": 3, "adyen": 1}, {})
    assert policy.shares(one) == {"adyen": 1.0}
    both = Logged(UUID(int=1), "USD", "adyen", 0.5, ("adyen", "stripe"), is_success=True)
    assert policy.shares(both) == {"adyen": 0.25, "stripe": 0.75}
    assert TargetPolicy({"other": 1}, {}).shares(both) == {"adyen": 0.5, "stripe": 0.5}


def test_a_provider_without_outcomes_in_a_segment_is_judged_by_the_others():
    rows = [one for one in logged(4) if (one.segment, one.provider) != ("EUR", "adyen")]
    found = evaluate(rows, TargetPolicy({"adyen": 1}, {}))
    assert 0.5 < found.doubly_robust.value < 1
    alone = evaluate(rows[:1], TargetPolicy(LOGGING, {}))
    assert alone.doubly_robust is not None
