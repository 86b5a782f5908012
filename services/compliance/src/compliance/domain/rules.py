"""Rules, what a payment's facts make of them, and the strongest consequence."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Any, Literal, get_args

from cel_expr_python.cel import Activation

from compliance.domain.conditions import Condition, compiled

Action = Literal["BLOCK", "REQUIRE_OTP", "REQUIRE_EDD", "REVIEW", "TAG"]
Severity = Literal["LOW", "MEDIUM", "HIGH", "CRITICAL"]
Status = Literal["PASSED", "REVIEW", "OTP_REQUIRED", "BLOCKED"]
"""Of a check, weakest first."""
STATUSES: Sequence[Status] = get_args(Status)
PRINTED_ACTIONS: Mapping[str, Action] = MappingProxyType(
    {
        "REQUIRE_ENHANCED_DUE_DILIGENCE": "REQUIRE_EDD",
        "APPLY_MiCA_RULES": "TAG",
        "BLOCK_TRANSACTION": "BLOCK",
    }
)
"""Names of actions in credit-platform.md."""
Demand = Literal["code", "decline", "review"]
"""What a finding asks of risk and confirm."""
_DEMANDS: Mapping[Action, tuple[Demand, ...]] = MappingProxyType(
    {
        "BLOCK": ("decline",),
        "REQUIRE_OTP": ("code",),
        "REQUIRE_EDD": ("review",),
        "REVIEW": ("review",),
        "TAG": (),
    }
)
_STATUS_OF: Mapping[Demand, Status] = MappingProxyType(
    {"decline": "BLOCKED", "code": "OTP_REQUIRED", "review": "REVIEW"}
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One version of a rule."""

    rule_id: str
    version: int
    jurisdiction: str
    """The law that it follows from, for people; the condition alone decides whom it is about."""
    condition: str
    action: Action
    severity: Severity
    active_from: date | None = None
    active_to: date | None = None
    """The last day, in UTC."""

    def is_active(self, day: date) -> bool:
        """Return whether the rule is in force on a day."""
        started = self.active_from is None or self.active_from <= day
        return started and (self.active_to is None or day <= self.active_to)


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A rule with its condition, ready to be evaluated."""

    rule: Rule
    condition: Condition


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that fired, or that could not be evaluated."""

    rule: Rule
    action: Action
    """The rule's own; of a rule that cannot be evaluated BLOCK where it blocks, else REVIEW."""
    evaluated: bool

    @property
    def demands(self) -> tuple[Demand, ...]:
        """What it asks for. A review lets a payment go on: an unevaluated rule adds a code."""
        asked = _DEMANDS[self.action]
        return asked if self.evaluated or "decline" in asked else ("code", *asked)

    def listed(self) -> dict[str, Any]:
        """Return the finding as callers read it."""
        rule = self.rule
        return {
            "ruleId": rule.rule_id,
            "version": rule.version,
            "jurisdiction": rule.jurisdiction,
            "action": self.action,
            "severity": rule.severity,
            "evaluated": self.evaluated,
        }


def prepared(rule: Rule) -> CompiledRule:
    """Compile a rule's condition; raise ConditionError where it is wrong."""
    return CompiledRule(rule, compiled(rule.condition))


def action_of(name: str) -> str:
    """Return an action by its name here or in credit-platform.md."""
    return PRINTED_ACTIONS.get(name, name)


def findings_of(
    rules: Iterable[CompiledRule], activation: Activation, day: date
) -> tuple[Finding, ...]:
    """Return the rules in force on a day that fire for a payment."""
    outcomes = (
        (one.rule, one.condition.outcome(activation)) for one in rules if one.rule.is_active(day)
    )
    return tuple(_finding(rule, outcome) for rule, outcome in outcomes if outcome != "passed")


def _finding(rule: Rule, outcome: str) -> Finding:
    if outcome == "fired":
        return Finding(rule, rule.action, evaluated=True)
    return Finding(rule, "BLOCK" if rule.action == "BLOCK" else "REVIEW", evaluated=False)


def demands_of(findings: Iterable[Finding]) -> tuple[Demand, ...]:
    """Return all that a payment's findings ask for, by name."""
    return tuple(sorted({demand for one in findings for demand in one.demands}))


def status_of(demands: Iterable[Demand]) -> Status:
    """Return the strongest demand as the status of a check."""
    return max((_STATUS_OF[one] for one in demands), key=STATUSES.index, default="PASSED")
