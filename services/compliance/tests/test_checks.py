"""Checks, dry runs and the compiled rules of a process."""

from dataclasses import replace
from datetime import date
from uuid import UUID

from rules_world import NO_HISTORY, ORDINARY, rule

from compliance.domain.checks import MOST_EXAMPLES, DryRun, Question, checked, next_version
from compliance.domain.conditions import activation_of
from compliance.domain.payments import facts_of
from compliance.domain.rulebook import Rulebook
from compliance.domain.rules import prepared

ID, PAYMENT = UUID(int=1), UUID(int=2)


def named(rule_id, condition="true", **fields):
    return replace(rule(condition, **fields), rule_id=rule_id)


def check_of(*rules, **fields):
    asked = Question(id=ID, payment=ORDINARY, by="risk", **fields)
    return checked(asked, NO_HISTORY, [prepared(one) for one in rules])


def test_a_check_names_the_rules_in_force_and_those_that_fired():
    ended = named("ENDED", active_to=date(2026, 1, 1))
    check = check_of(named("FIRES", action="REQUIRE_OTP"), named("PASSES", "false"), ended)
    assert [one["ruleId"] for one in check.rules] == ["FIRES", "PASSES"]
    assert [one["ruleId"] for one in check.results] == ["FIRES"]
    assert (check.status, check.demands, check.by) == ("OTP_REQUIRED", ("code",), "risk")


def test_a_check_of_a_payment_is_another_type_than_one_of_a_transaction():
    assert check_of().type == "TRANSACTION"
    assert (check_of(payment_id=PAYMENT).type, check_of().status) == ("PAYMENT", "PASSED")


def run(new, old=None, *, payments):
    found = DryRun(prepared(new), prepared(old) if old else None)
    for number, payment in enumerate(payments):
        found.add(UUID(int=number), payment, NO_HISTORY)
    return found.listed()


def test_a_dry_run_counts_what_changes():
    payments = [replace(ORDINARY, user_id=f"usr-{n % 2}", amount_minor=n) for n in range(4)]
    found = run(
        rule("transaction.amount_minor >= 2"),
        rule("transaction.amount_minor <= 2"),
        payments=payments,
    )
    counts = {name: found[name] for name in ("payments", "fired", "newlyHit", "noLongerHit")}
    assert counts == {"payments": 4, "fired": 2, "newlyHit": 1, "noLongerHit": 2}
    assert (found["users"], found["unevaluated"]) == (2, 0)
    assert [one["userId"] for one in found["examples"]] == ["usr-0", "usr-1"]


def test_a_dry_run_shows_what_cannot_be_evaluated_and_bounds_its_examples():
    found = run(rule("1 / 0 == 1"), payments=[ORDINARY] * 50)
    assert (found["fired"], found["unevaluated"], found["newlyHit"]) == (0, 50, 50)
    assert len(found["examples"]) == MOST_EXAMPLES
    assert {one["outcome"] for one in found["examples"]} == {"unevaluated"}


def test_a_dry_run_ignores_the_days_of_a_rule():
    assert run(rule(active_from=date(2099, 1, 1)), payments=[ORDINARY])["fired"] == 1


def test_the_next_version_follows_the_highest_one():
    known = [named("A"), replace(named("A"), version=3), replace(named("B"), version=7)]
    assert [next_version(one, known) for one in (named("A"), named("C"))] == [4, 1]


def test_a_version_is_compiled_once():
    book = Rulebook()
    first = book.compiled([named("A"), named("B")])
    again = book.compiled([named("A"), replace(named("B"), version=2)])
    assert again[0] is first[0]
    assert again[1] is not first[1]


def test_a_stored_rule_that_no_longer_compiles_fires_always():
    (broken,) = Rulebook().compiled([named("OLD", "transaction.removed == 1", action="BLOCK")])
    assert broken.condition.outcome(activation_of(facts_of(ORDINARY, NO_HISTORY))) == "unevaluated"
    check = checked(Question(id=ID, payment=ORDINARY, by="risk"), NO_HISTORY, [broken])
    assert check.demands == ("decline",)
