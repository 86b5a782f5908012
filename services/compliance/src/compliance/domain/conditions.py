"""Conditions: compiled and type-checked by cel-expr-python, and evaluated over facts."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from cel_expr_python import cel

from compliance.domain.fields import CONSTANTS, TYPES, Facts
from compliance.domain.keywords import in_cel

MOST_CHARACTERS = 1000
Outcome = Literal["fired", "passed", "unevaluated"]
_ENVIRONMENT = cel.NewEnv(variables=dict(TYPES))
_ERROR = re.compile(r"ERROR: <input>:(?P<line>\d+):(?P<column>\d+): (?P<text>[^\n]*)")


class ConditionError(ValueError):
    """A condition that is no valid one; the text says where and why."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition."""

    expression: cel.Expression | None
    """None: it does not compile, and every outcome is `unevaluated`."""

    def outcome(self, activation: cel.Activation) -> Outcome:
        """Evaluate; anything but true or false is `unevaluated`.

        An error of the evaluation is a value whose Python value is a text, thus truthy.
        """
        if self.expression is None:
            return "unevaluated"
        try:
            value = self.expression.eval(activation).value()
        except Exception:  # noqa: BLE001 - the library documents no error; none may pass a payment
            return "unevaluated"
        if value is True:
            return "fired"
        return "passed" if value is False else "unevaluated"


def compiled(text: str) -> Condition:
    """Compile a condition; raise ConditionError with line and column where it is wrong."""
    if len(text) > MOST_CHARACTERS:
        raise ConditionError(f"must have at most {MOST_CHARACTERS} characters")
    try:
        expression = _ENVIRONMENT.compile(in_cel(text))
    except RuntimeError as error:
        raise ConditionError(_explained(str(error))) from None
    if expression.return_type() != cel.Type.BOOL:
        raise ConditionError(f"must be true or false, not {expression.return_type().name()}")
    return Condition(expression)


def activation_of(facts: Facts) -> cel.Activation:
    """Return what conditions read. One activation serves all rules of a payment."""
    return _ENVIRONMENT.Activation({**CONSTANTS, **_known(facts)})


def _known(facts: Facts) -> Mapping[str, object]:
    return {name: value for name, value in facts.items() if name in TYPES}


def _explained(text: str) -> str:
    """Return the first error of the compiler with its position, in one line."""
    if found := _ERROR.search(text):
        why = re.sub(r" \(in container ''\)", "", found["text"]).removesuffix(" [INVALID_ARGUMENT]")
        return f"line {found['line']}, column {found['column']}: {why}"
    return text.splitlines()[0]
