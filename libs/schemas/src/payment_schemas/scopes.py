"""All scopes in one table: who may hold one, and what it admits to; and the roles of operators.

docs/scopes.md is written from it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

Holder = Literal["customer", "operator", "machine"]
"""A customer or a client of one, by a token; an operator, by a token of the operators' audience; a
process of this system, by its secret."""

Scope = Literal[
    "ops.read",
    "ops.write",
    "contacts.write",
    "accounts.open",
    "cases.propose",
    "cases.approve",
    "dlq.redrive",
    "identity.write",
    "roles.grant",
    "partners.write",
    "compliance.write",
    "reviews.read",
    "reviews.write",
    "subjects.erase",
]
SCOPES: tuple[Scope, ...] = get_args(Scope)
"""The scopes of operators."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One scope of one kind of holder."""

    scope: str
    holder: Holder
    admits_to: str


TABLE: tuple[Entry, ...] = (
    Entry("payment.confirm", "customer", "confirm payments from own accounts, and read them"),
    Entry("payment.read", "customer", "reserved: reading own payments takes payment.confirm"),
    Entry("webhooks.write", "customer", "manage own webhook endpoints"),
    Entry("charges.write", "customer", "charge cards; refund, cancel, capture, read own charges"),
    Entry("kyc.write", "customer", "state who one is, upload documents, read own identity checks"),
    Entry("ops.read", "operator", "every read; the API descriptions in production"),
    Entry(
        "ops.write",
        "operator",
        "reconcile a statement, unlock codes, move a cursor",
    ),
    Entry("contacts.write", "operator", "add contacts; propose and approve their changes"),
    Entry("accounts.open", "operator", "open accounts; propose and approve opening balances"),
    Entry("cases.propose", "operator", "propose SETTLE or RETURN, and close explained cases"),
    Entry("cases.approve", "operator", "approve SETTLE or RETURN"),
    Entry(
        "dlq.redrive",
        "operator",
        "publish a dead letter again; propose and approve more than one, or to discard some",
    ),
    Entry(
        "identity.write",
        "operator",
        "disable and enable users; propose and approve clients, approve roles of operators",
    ),
    Entry("roles.grant", "operator", "propose roles of operators, never own ones"),
    Entry(
        "partners.write",
        "operator",
        "add, suspend and resume partner banks on Kafka, replace their keys and passwords, publish"
        " to them again",
    ),
    Entry(
        "compliance.write",
        "operator",
        "check a transaction by the rules, monitor a user, decide about identity checks; propose"
        " and approve rules and exceptions from sanctions hits, end exceptions; score"
        " a transaction, report a fraud, roll fraud models back; propose and approve their stages",
    ),
    Entry(
        "subjects.erase",
        "operator",
        "export, hold and release a subject's personal data; propose and approve its erasure",
    ),
    Entry("reviews.read", "operator", "review cases and drafts of reports to FinCEN"),
    Entry(
        "reviews.write",
        "operator",
        "assign and escalate review cases, add notes; propose and approve how they end",
    ),
    Entry("payment.read", "machine", "read payments at confirm (gateway)"),
    Entry("screenings.query", "machine", "screen parties at the service screening (risk)"),
    Entry("compliance.check", "machine", "check payments by the rules of compliance (risk)"),
    Entry("fraud.score", "machine", "score payments by the models of fraud (risk)"),
    Entry("contacts.query", "machine", "ask whether a user can receive a code (otp)"),
    Entry("check.read", "machine", "checks, exports, consumed ids, cases, stored replies (ops)"),
    Entry(
        "clients.forward",
        "machine",
        "beside a user's request at services with public paths: state the user's address (gateway)",
    ),
    Entry("metrics.read", "machine", "metrics in production (Prometheus)"),
)

CUSTOMER_SCOPES: tuple[str, ...] = tuple(one.scope for one in TABLE if one.holder == "customer")
"""What a new user gets, and what a client may be given."""

ROLES: Mapping[str, tuple[Scope, ...]] = MappingProxyType(
    {
        "viewer": ("ops.read",),
        "operator": (
            "ops.read", "ops.write", "contacts.write", "accounts.open", "cases.propose",
            "dlq.redrive", "compliance.write",
        ),
        "approver": (
            "ops.read", "contacts.write", "accounts.open", "cases.approve", "dlq.redrive",
            "identity.write", "compliance.write",
        ),
        "reviewer": ("ops.read", "compliance.write", "reviews.read", "reviews.write"),
        "admin": SCOPES,
    }
)  # fmt: skip
"""Roles of operators. An act that needs two people needs two, whatever their roles."""


def scopes_of(roles: Iterable[str]) -> frozenset[str]:
    """Return the scopes of all roles; an unknown role has none."""
    return frozenset(scope for role in roles for scope in ROLES.get(role, ()))
