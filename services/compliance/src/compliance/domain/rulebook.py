"""The compiled rules of a process: each version is compiled once."""

from collections.abc import Iterable, Sequence

from compliance.domain.conditions import Condition, ConditionError
from compliance.domain.rules import CompiledRule, Rule, prepared


class Rulebook:
    """Compiles rules, and keeps those of the last call."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], CompiledRule] = {}

    def compiled(self, rules: Iterable[Rule]) -> Sequence[CompiledRule]:
        """Return rules ready to be evaluated."""
        self._known = {
            (one.rule_id, one.version): self._known.get((one.rule_id, one.version))
            or _compiled(one)
            for one in rules
        }
        return list(self._known.values())


def _compiled(rule: Rule) -> CompiledRule:
    """Compile a stored rule; one that a later version of this service refuses fires always."""
    try:
        return prepared(rule)
    except ConditionError:
        return CompiledRule(rule, Condition(None))
