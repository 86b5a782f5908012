"""A check of one payment by all rules, and the dry run of a rule."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

from compliance.domain.conditions import activation_of
from compliance.domain.payments import CheckedPayment, History, facts_of
from compliance.domain.rules import (
    CompiledRule,
    Demand,
    Rule,
    Status,
    demands_of,
    findings_of,
    status_of,
)

MOST_EXAMPLES = 20


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check."""

    id: UUID
    user_id: str
    payment_id: UUID | None
    type: Literal["PAYMENT", "TRANSACTION"]
    demands: Sequence[Demand]
    status: Status
    rules: Sequence[Mapping[str, Any]]
    """The rules that were in force, by id and version."""
    results: Sequence[Mapping[str, Any]]
    """Those of them that fired or could not be evaluated."""
    by: str
    """An operator, or the machine that asked."""
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A payment to check."""

    id: UUID
    payment: CheckedPayment
    by: str
    payment_id: UUID | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


def checked(asked: Question, history: History, rules: Iterable[CompiledRule]) -> Check:
    """Check a payment by the rules that are in force at its time."""
    payment = asked.payment
    day = payment.at.date()
    in_force = [one for one in rules if one.rule.is_active(day)]
    found = findings_of(in_force, activation_of(facts_of(payment, history)), day)
    demands = demands_of(found)
    return Check(
        asked.id,
        payment.user_id,
        asked.payment_id,
        "PAYMENT" if asked.payment_id else "TRANSACTION",
        demands,
        status_of(demands),
        [{"ruleId": one.rule.rule_id, "version": one.rule.version} for one in in_force],
        [one.listed() for one in found],
        asked.by,
        asked.metadata,
    )


@dataclass(slots=True)
class DryRun:
    """Whom a rule would have been about: the last payments, evaluated one after the other.

    The rule's days do not count: they are about the future.
    """

    new: CompiledRule
    old: CompiledRule | None
    """The version in force, for what changes."""
    payments: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    users: set[str] = field(default_factory=set)
    examples: list[dict[str, Any]] = field(default_factory=list)

    def add(self, payment_id: UUID, payment: CheckedPayment, history: History) -> None:
        """Evaluate the rule, and the version before it, for one payment."""
        activation = activation_of(facts_of(payment, history))
        outcome = self.new.condition.outcome(activation)
        before = self.old.condition.outcome(activation) if self.old else "passed"
        self.payments += 1
        self.outcomes[outcome] += 1
        self.outcomes["newly_hit"] += outcome != "passed" and before == "passed"
        self.outcomes["no_longer_hit"] += outcome == "passed" and before != "passed"
        if outcome != "passed":
            self._note(payment_id, payment, outcome)

    def _note(self, payment_id: UUID, payment: CheckedPayment, outcome: str) -> None:
        self.users.add(payment.user_id)
        if len(self.examples) < MOST_EXAMPLES:
            example = {"paymentId": str(payment_id), "userId": payment.user_id, "outcome": outcome}
            self.examples.append(example)

    def listed(self) -> dict[str, Any]:
        """Return the dry run as operators read it."""
        return {
            "payments": self.payments,
            "fired": self.outcomes["fired"],
            "unevaluated": self.outcomes["unevaluated"],
            "newlyHit": self.outcomes["newly_hit"],
            "noLongerHit": self.outcomes["no_longer_hit"],
            "users": len(self.users),
            "examples": self.examples,
        }


def next_version(rule: Rule, current: Iterable[Rule]) -> int:
    """Return the version that a change of a rule makes: one more than the highest, from 1 on."""
    return max((one.version for one in current if one.rule_id == rule.rule_id), default=0) + 1
