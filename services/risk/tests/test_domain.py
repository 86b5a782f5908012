"""The score, its factors and its level."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payment_schemas.currencies import UnknownRateError, usd_minor_of
from payment_schemas.events.risk import Screening
from risk.domain import (
    Evidence,
    FiredRule,
    History,
    Ruling,
    assess,
    is_over,
    level_of,
)


@pytest.mark.parametrize(
    ("amount_minor", "points"),
    [
        pytest.param(99_999, 0, id="999.99 is small"),
        pytest.param(100_000, 20, id="1,000.00 counts"),
        pytest.param(499_999, 20, id="4,999.99 is still the first band"),
        pytest.param(500_000, 45, id="5,000.00 is the second band and replaces the first"),
        pytest.param(999_999, 45, id="9,999.99 is still the second band"),
        pytest.param(1_000_000, 50, id="10,000.00 is the third band"),
    ],
)
def test_only_the_highest_band_that_an_amount_reaches_counts(build, amount_minor, points):
    request = build.request(amount_minor=amount_minor)
    result = assess(request, build.evidence(), build.ordinary, build.policy)
    assert result.score == points
    assert len(result.factors) == (1 if points else 0)


@pytest.mark.parametrize(
    ("country", "history", "factors"),
    [
        pytest.param("US", History(True, True, 0), {}, id="nothing unusual"),
        pytest.param("US", History(False, True, 0), {"new_payee": 40}, id="a new payee"),
        pytest.param("FR", History(True, False, 0), {"new_country": 15}, id="a new country"),
        pytest.param(None, History(True, False, 0), {}, id="no country given is no new country"),
        pytest.param("US", History(True, True, 5), {}, id="five recent payments are usual"),
        pytest.param("US", History(True, True, 6), {"velocity": 10}, id="six recent payments"),
    ],
)
def test_each_factor_is_named_with_its_points(build, country, history, factors):
    request = build.request(country=country)
    result = assess(request, build.evidence(), history, build.policy)
    assert {factor.name: factor.points for factor in result.factors} == factors


@pytest.mark.parametrize(
    ("kyc", "score"), [("verified", 0), ("pending", 30), ("expired", 20), ("rejected", 0)]
)
def test_pending_and_expired_documents_add_points(build, kyc, score):
    result = assess(build.request(), build.evidence(kyc), build.ordinary, build.policy)
    assert (result.score, result.evidence.kyc) == (score, kyc)


def test_5200_to_a_new_payee_is_85_and_high(build):
    request = build.request(amount_minor=520_000)
    result = assess(request, build.evidence(), History(False, True, 0), build.policy)
    assert (result.score, result.level, result.amount_usd_minor) == (85, "high", 520_000)
    assert [factor.name for factor in result.factors] == ["amount_from_5000_usd", "new_payee"]


def test_a_score_is_at_most_100(build):
    request = build.request(amount_minor=2_000_000, country="FR")
    result = assess(request, build.evidence("pending"), History(False, False, 9), build.policy)
    assert sum(factor.points for factor in result.factors) == 145
    assert (result.score, result.level) == (100, "critical")


@pytest.mark.parametrize(
    ("score", "level"),
    [
        (0, "low"),
        (39, "low"),
        (40, "medium"),
        (69, "medium"),
        (70, "high"),
        (94, "high"),
        (95, "critical"),
        (100, "critical"),
    ],
)
def test_levels_begin_where_the_contract_says(build, score, level):
    assert level_of(score, build.policy.levels) == level


@pytest.mark.parametrize(("debtor", "creditor"), [(True, False), (False, True), (True, True)])
def test_a_hit_on_either_party_is_a_hit(build, debtor, creditor):
    screenings = tuple(
        Screening(party=party, hit=hit, list_version="1", match_score=50)
        for party, hit in (("debtor", debtor), ("creditor", creditor))
    )
    evidence = Evidence(screenings, "verified")
    assert assess(build.request(), evidence, build.ordinary, build.policy).sanctions_hit


def test_no_hit_is_clear(build):
    evidence = build.evidence()
    assert not assess(build.request(), evidence, build.ordinary, build.policy).sanctions_hit


@pytest.mark.parametrize(
    ("amount_minor", "currency", "cents"),
    [
        pytest.param(1, "USD", 1, id="a cent is a cent"),
        pytest.param(100, "EUR", 110, id="two decimals"),
        pytest.param(1000, "JPY", 700, id="a currency without decimals"),
        pytest.param(1, "JPY", 1, id="a fraction of a cent is rounded up"),
    ],
)
def test_amounts_are_valued_in_us_cents(build, amount_minor, currency, cents):
    assert usd_minor_of(amount_minor, currency, build.policy.usd_rates) == cents


def test_a_currency_without_a_rate_is_refused_by_name(build):
    request = build.request(currency="XAF")
    with pytest.raises(UnknownRateError, match="currency: no USD rate for XAF"):
        assess(request, build.evidence(), build.ordinary, build.policy)


@pytest.mark.parametrize(("passed_s", "over"), [(899.999, False), (900, True), (901, True)])
def test_a_request_is_over_from_its_expiry_on(build, passed_s, over):
    assert is_over(build.request(), build.now + timedelta(seconds=passed_s)) is over


histories = st.builds(
    History,
    payee_known=st.booleans(),
    country_known=st.booleans(),
    recent_payments=st.integers(0, 10),
)
amounts = st.integers(1, 10**12)
documents = st.sampled_from(["verified", "pending", "expired", "rejected"])


@given(amounts, histories, documents)
def test_the_score_is_the_sum_of_its_named_factors_capped(build, amount, history, kyc):
    request = build.request(amount_minor=amount, country="US")
    result = assess(request, build.evidence(kyc), history, build.policy)
    points = [factor.points for factor in result.factors]
    assert result.score == min(100, sum(points))
    assert points == sorted(points, reverse=True)
    assert len({factor.name for factor in result.factors}) == len(points)
    assert result.level == level_of(result.score, build.policy.levels)


@given(amounts, amounts, histories, documents)
def test_a_larger_amount_never_scores_less(build, one, other, history, kyc):
    low, high = (
        assess(build.request(amount_minor=amount), build.evidence(kyc), history, build.policy)
        for amount in sorted((one, other))
    )
    assert low.score <= high.score


@given(amounts, histories)
def test_a_known_payee_never_raises_the_score(build, amount, history):
    request = build.request(amount_minor=amount)
    known = History(True, history.country_known, history.recent_payments)
    stranger = History(False, history.country_known, history.recent_payments)
    scores = [
        assess(request, build.evidence(), one, build.policy).score for one in (known, stranger)
    ]
    assert scores[0] <= scores[1]


@given(amounts, st.sampled_from(["USD", "EUR", "JPY", "GBP"]))
def test_the_usd_amount_is_rounded_up_by_less_than_a_cent(build, amount, currency):
    cents = usd_minor_of(amount, currency, build.policy.usd_rates)
    places = 0 if currency == "JPY" else 2
    exact = Decimal(amount) / 10**places * build.policy.usd_rates[currency] * 100
    assert exact <= cents < exact + 1


def fired(severity="HIGH", *, is_tag=False, evaluated=True):
    return FiredRule("A_RULE", severity, is_tag, evaluated)


@pytest.mark.parametrize(
    ("rule", "factor"),
    [
        (fired("LOW"), ("rule_A_RULE", 5)),
        (fired("CRITICAL"), ("rule_A_RULE", 50)),
        (fired("CRITICAL", is_tag=True), ("rule_A_RULE", 0)),
        (fired(evaluated=False), ("rule_A_RULE_unevaluated", 30)),
    ],
)
def test_a_rule_that_fired_is_a_factor_with_points_by_its_severity(build, rule, factor):
    evidence = replace(build.evidence(), ruling=Ruling(("review",), (rule,)))
    result = assess(build.request(), evidence, build.ordinary, build.policy)
    assert [(one.name, one.points) for one in result.factors] == [factor]
    assert (result.score, result.evidence.demands) == (factor[1], ("review",))


@pytest.mark.parametrize("ruling", [None, Ruling()])
def test_no_rule_that_fired_changes_nothing(build, ruling):
    evidence = replace(build.evidence(), ruling=ruling)
    result = assess(build.request(), evidence, build.ordinary, build.policy)
    assert (result.factors, result.evidence.demands) == ((), ())
