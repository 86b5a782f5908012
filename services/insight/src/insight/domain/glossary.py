"""What factors mean, and what is recommended for a shape. The words are fixed."""

import re
from collections.abc import Iterator

from insight.domain.shape import Shape, is_rule

_MEANINGS = {
    "new_payee": "the first payment to this payee",
    "new_country": "a country that the customer has not paid from before",
    "velocity": "more payments in a short time than usual",
    "kyc_pending": "the identity check is pending",
    "kyc_expired": "the identity documents have expired",
    "model_unavailable": "the model did not reply in time",
    "other": "a further factor",
}
_AMOUNT = re.compile(r"amount_from_(\d+)_usd\Z")
_UNEVALUATED = "_unevaluated"

RECOMMENDATIONS = {
    "compliance_review": "Compliance looks at the sanctions hit before anything else.",
    "identity_check": "Complete the identity check of the customer.",
    "manual_review": "Manual review recommended.",
    "verify_payee": "Verify the payee with the customer, by a contact that is known.",
    "verify_country": "Ask the customer whether the payment from this country was intended.",
    "check_activity": "Look at the other recent payments of the customer.",
    "check_rules": "Look at the rules that fired.",
    "no_action": "The risk alone requires no action.",
}
"""By code, the most important first. A model chooses codes; the text is always ours."""


def meaning_of(name: str) -> str:
    """Return what a factor means, in words."""
    if found := _AMOUNT.match(name):
        return f"an amount from {found[1]} USD"
    if is_rule(name):
        rule = name.removeprefix("rule_").removesuffix(_UNEVALUATED)
        suffix = ", which could not be evaluated" if name.endswith(_UNEVALUATED) else ""
        return f"the rule {rule}{suffix}"
    return _MEANINGS.get(name, name.replace("_", " "))


def recommended(shape: Shape) -> tuple[str, ...]:
    """Return the codes of what may be recommended for a shape, the most important first."""
    wanted = set(_wanted(shape)) or {"no_action"}
    return tuple(code for code in RECOMMENDATIONS if code in wanted)


def _wanted(shape: Shape) -> Iterator[str]:
    if shape.sanctions == "hit":
        yield "compliance_review"
    if shape.kyc != "verified":
        yield "identity_check"
    if shape.level in ("high", "critical") or "review" in shape.demands:
        yield "manual_review"
    if any(is_rule(name) for name in shape.names):
        yield "check_rules"
    if shape.level == "low":
        return
    by_factor = {
        "new_payee": "verify_payee",
        "new_country": "verify_country",
        "velocity": "check_activity",
    }
    yield from (code for name, code in by_factor.items() if name in shape.names)
