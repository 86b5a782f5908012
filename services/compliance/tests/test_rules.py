"""Rules: keywords, types, errors that never pass, and the examples as printed."""

from dataclasses import replace
from datetime import date

import pytest
from cel import evaluate
from hypothesis import given
from hypothesis import strategies as st
from rules_world import (
    CONDITIONS,
    NO_HISTORY,
    ORDINARY,
    PRINTED,
    TODAY,
    findings,
    rule,
)

from compliance.domain.conditions import ConditionError, activation_of, compiled
from compliance.domain.fields import CONSTANTS, EU_COUNTRIES, FIELDS
from compliance.domain.keywords import in_cel
from compliance.domain.payments import History, facts_of
from compliance.domain.rules import action_of, demands_of, status_of


def outcome(condition, payment=ORDINARY, history=NO_HISTORY):
    return compiled(condition).outcome(activation_of(facts_of(payment, history)))


@pytest.mark.parametrize(
    ("written", "cel"),
    [
        ("a AND b OR NOT c", "a &&  b || !   c"),
        ("x IN y", "x in y"),
        ("x == 'this AND that'", "x == 'this AND that'"),
        ('x == "a\\" OR b" OR c', 'x == "a\\" OR b" || c'),
        (r"r'\' AND r'\'", r"r'\' &&  r'\'"),
        ("'''it's AND''' AND '''OR'''", "'''it's AND''' &&  '''OR'''"),
        ("bR'OR' OR b'OR'", "bR'OR' || b'OR'"),
        ("a.AND AND a . OR", "a.AND &&  a . OR"),
        ("a // b AND c\nAND d", "a // b AND c\n&&  d"),
        ("ANDROID OR sAND OR and", "ANDROID || sAND || and"),
        ("a.`x AND y` AND b", "a.`x AND y` &&  b"),
    ],
)
def test_keywords_are_operators_outside_strings_names_and_comments(written, cel):
    assert in_cel(written) == cel


@given(st.text("ANDORTI'\"\\rbR . n\n/`(", max_size=40))
def test_a_translation_keeps_every_position(text):
    translated = in_cel(text)
    assert len(translated) == len(text)
    assert in_cel(translated) == translated


@pytest.mark.parametrize(("name", "payment", "fires"), [
    ("US_AMOUNT_LIMIT", {"amount_usd_minor": 10_000_00}, False),
    ("US_AMOUNT_LIMIT", {"amount_usd_minor": 10_000_01}, True),
    ("US_AMOUNT_LIMIT", {"amount_usd_minor": 10_000_01, "country": "CA"}, False),
    ("EU_MiCA_COMPLIANCE", {"type": "CRYPTO", "country": "DE"}, True),
    ("EU_MiCA_COMPLIANCE", {"type": "CRYPTO", "country": "CH"}, False),
    ("EU_MiCA_COMPLIANCE", {"country": "DE"}, False),
    ("GLOBAL_SANCTIONS", {}, False),
    ("GLOBAL_SANCTIONS", {"debtor_hit": True}, True),
])  # fmt: skip
def test_the_printed_rules_work_as_printed(name, payment, fires):
    condition, action = PRINTED[name]
    found = findings(rule(condition, action_of(action)), payment=replace(ORDINARY, **payment))
    assert [one.evaluated for one in found] == [True] * fires


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        ("transaction.amount > 'x'", "line 1, column 20: found no matching overload"),
        ("transaction.amount > 10000.5", "line 1, column 20: found no matching overload"),
        ("true AND transaction.amont > 1", "line 1, column 21: undeclared reference"),
        ("true AND", "line 1, column 9: Syntax error"),
        ("user.id ==\n  1", "line 1, column 9: found no matching overload"),
        ("user.id", "must be true or false, not STRING"),
        ("user", "line 1, column 1: undeclared reference"),
        ("", "line 1, column 1: Syntax error"),
        ("x" * 1001, "must have at most 1000 characters"),
        ("(" * 100 + "true" + ")" * 100, "recursion limit"),
    ],
)
def test_a_wrong_condition_is_refused_with_its_position(condition, why):
    with pytest.raises(ConditionError, match=why):
        compiled(condition)


@pytest.mark.parametrize(
    "condition",
    [
        pytest.param("user.jurisdiction == 'US'", id="an unknown fact"),
        pytest.param("transaction.amount / 0 > 1", id="a division by zero"),
        pytest.param("9223372036854775807 + transaction.amount > 0", id="an overflow"),
        pytest.param("dyn(user.id) > 5", id="types that are known late"),
        pytest.param("int(user.id) > 5", id="a conversion"),
        pytest.param("[1][transaction.amount + 5] == 1", id="an index"),
        pytest.param(
            "EU_COUNTRIES.all(a, EU_COUNTRIES.all(b, EU_COUNTRIES.all(c, EU_COUNTRIES.all(d,"
            " user.id != a + b + c + d))))",
            id="too many steps",
        ),
    ],
)
@pytest.mark.parametrize(
    ("action", "counts_as", "demands"),
    [
        ("BLOCK", "BLOCK", ("decline",)),
        ("REQUIRE_OTP", "REVIEW", ("code", "review")),
        ("REQUIRE_EDD", "REVIEW", ("code", "review")),
        ("REVIEW", "REVIEW", ("code", "review")),
        ("TAG", "REVIEW", ("code", "review")),
    ],
)
def test_a_rule_that_cannot_be_evaluated_never_passes(condition, action, counts_as, demands):
    unknown = replace(ORDINARY, country=None)
    (found,) = findings(rule(condition, action), payment=unknown)
    assert (found.evaluated, found.action, found.demands) == (False, counts_as, demands)


@pytest.mark.parametrize("value", [None, "true", 1, 1.0, [], {"a": 1}])
def test_only_true_and_false_are_results(value):
    class Expression:
        def eval(self, _activation):
            return self

        def value(self):
            return value

    condition = replace(compiled("true"), expression=Expression())
    assert condition.outcome(None) == "unevaluated"


def test_a_false_side_decides_although_the_other_one_is_unknown():
    unknown = replace(ORDINARY, country=None)
    assert outcome(PRINTED["US_AMOUNT_LIMIT"][0], unknown) == "passed"


@pytest.mark.parametrize(
    ("actions", "demands", "status"),
    [
        ([], (), "PASSED"),
        (["TAG"], (), "PASSED"),
        (["REQUIRE_EDD", "TAG"], ("review",), "REVIEW"),
        (["REVIEW", "REQUIRE_OTP"], ("code", "review"), "OTP_REQUIRED"),
        (["BLOCK", "REQUIRE_OTP", "REVIEW"], ("code", "decline", "review"), "BLOCKED"),
    ],
)
def test_all_rules_count_and_the_strongest_is_the_status(actions, demands, status):
    assert demands_of(findings(*(rule(action=one) for one in actions))) == demands
    assert status_of(demands) == status


@pytest.mark.parametrize(
    ("start", "end", "day", "is_active"),
    [
        (None, None, TODAY, True),
        (TODAY, TODAY, TODAY, True),
        (TODAY, None, date(2026, 11, 29), False),
        (None, TODAY, date(2026, 12, 1), False),
    ],
)
def test_a_rule_is_in_force_from_its_first_to_its_last_day(start, end, day, is_active):
    found = findings(rule(active_from=start, active_to=end), day=day)
    assert bool(found) is is_active


@pytest.mark.parametrize(
    ("usd_minor", "dollars"), [(0, 0), (1, 1), (100, 1), (101, 2), (10_000_00, 10_000)]
)
def test_dollars_are_rounded_up(usd_minor, dollars):
    payment = replace(ORDINARY, amount_usd_minor=usd_minor)
    assert facts_of(payment, NO_HISTORY)["transaction.amount"] == dollars


@pytest.mark.parametrize(
    ("debtor", "creditor", "hit"),
    [(True, None, True), (None, True, True), (False, None, None), (False, False, False)],
)
def test_a_screening_is_clear_only_where_both_parties_are(debtor, creditor, hit):
    facts = facts_of(replace(ORDINARY, debtor_hit=debtor, creditor_hit=creditor), History())
    assert facts.get("screening.hit") is hit


def test_every_fact_has_a_field_and_every_field_a_fact():
    assert facts_of(ORDINARY, History()).keys() == FIELDS.keys()
    assert len(EU_COUNTRIES) == 27


PAYMENTS = st.builds(
    replace,
    st.just(ORDINARY),
    type=st.sampled_from(["TRANSFER", "CRYPTO"]),
    amount_minor=st.integers(1, 10**12),
    amount_usd_minor=st.integers(1, 3_000_000),
    currency=st.sampled_from(["USD", "JPY"]),
    country=st.sampled_from([None, "US", "DE"]),
    debtor_hit=st.booleans(),
)
HISTORIES = st.builds(History, st.integers(0, 5), st.integers(0, 10**9), st.booleans())


@given(CONDITIONS, PAYMENTS, HISTORIES)
def test_another_implementation_of_cel_decides_alike(condition, payment, history):
    facts = facts_of(payment, history)
    nested: dict[str, dict[str, object]] = {}
    for name, value in facts.items():
        variable, field = name.split(".")
        nested.setdefault(variable, {})[field] = value
    try:
        value = evaluate(in_cel(condition), {**nested, **CONSTANTS})
    except Exception:  # noqa: BLE001 - the binding raises several kinds
        value = None
    expected = {True: "fired", False: "passed", None: "unevaluated"}[value]
    assert outcome(condition, payment, history) == expected
