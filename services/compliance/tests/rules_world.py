"""Payments and rules of tests."""

from datetime import UTC, datetime

from hypothesis import strategies as st

from compliance.domain.conditions import activation_of
from compliance.domain.payments import CheckedPayment, History, facts_of
from compliance.domain.rules import Rule, findings_of, prepared

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
TODAY = NOON.date()
ORDINARY = CheckedPayment(
    user_id="usr-1",
    payee="acc-2",
    amount_minor=100,
    amount_usd_minor=100,
    currency="USD",
    country="US",
    at=NOON,
    debtor_hit=False,
    creditor_hit=False,
    match_score=0,
    list_version="list-1",
    kyc="verified",
)
NO_HISTORY = History()
# As printed in credit-platform.md, "Rules Engine Configuration".
PRINTED = {
    "US_AMOUNT_LIMIT": (
        "transaction.amount > 10000 AND user.jurisdiction == 'US'",
        "REQUIRE_ENHANCED_DUE_DILIGENCE",
    ),
    "EU_MiCA_COMPLIANCE": (
        "transaction.type == 'CRYPTO' AND user.jurisdiction IN EU_COUNTRIES",
        "APPLY_MiCA_RULES",
    ),
    "GLOBAL_SANCTIONS": ("user.sanctionStatus != 'CLEAR'", "BLOCK_TRANSACTION"),
}
PARTS = [
    "transaction.amount > 10000",
    "transaction.amount_minor % 7 == 3",
    "transaction.type == 'CRYPTO'",
    "transaction.currency in ['USD', 'EUR']",
    "user.jurisdiction IN EU_COUNTRIES",
    "user.id.startsWith('usr') ",
    "user.sanctionStatus != 'CLEAR'",
    "NOT screening.hit",
    "history.payments_24h >= 3",
    "size(payee.account) < 5",
    "EU_COUNTRIES.exists(x, x == user.jurisdiction)",
    "transaction.amount / history.payments_24h > 2",
]
CONDITIONS = st.recursive(
    st.sampled_from(PARTS),
    lambda inner: st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(
        lambda three: f"({' '.join(three)})"
    ),
    max_leaves=6,
)


def rule(condition="true", action="REVIEW", **fields):
    """Return a rule; tests name the fields that they are about."""
    return Rule("R", 1, "GLOBAL", condition, action, "LOW", **fields)


def findings(*rules, payment=ORDINARY, history=NO_HISTORY, day=TODAY):
    """Return what fires for a payment."""
    activation = activation_of(facts_of(payment, history))
    return findings_of([prepared(one) for one in rules], activation, day)
