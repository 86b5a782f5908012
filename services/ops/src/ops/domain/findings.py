"""The findings of a check: counts, and a bounded list of violations."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

NAMES = {
    "I1": "no loss: every payment exists at each owner",
    "I2": "no double: the bank moved money exactly once",
    "I3": "ledger: transfers, balances, in-flight",
    "I4": "states: only legal steps, version +1",
    "I5": "conservation: each consumed record was handled or is a dead letter",
    "I6": "order: no late event has moved a state back",
    "I8": "liveness: no work is unfinished for too long",
    "I9": "audit: one row per transition",
    "I10": "codes: bounded, accepted once, for this payment",
    "I12": "fail closed: confirmed only with every result",
    "I13": "messages: each outcome has exactly one message",
    "I15": "audit: the trees have each row, and the table refuses changes",
}
"""Checked continuously. `check --full` adds I7; a service may report others."""
NAMES_OF_FULL = {**NAMES, "I7": "replay: one final response a key, byte for byte"}
LISTED = 100
"""Listed violations of an invariant; all are counted."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A violated invariant."""

    invariant: str
    about: str
    """The payment's id, an account, a UETR."""
    details: str


@dataclass(frozen=True, slots=True)
class OwnerFigures:
    """What a service says of itself in a check."""

    dead_letters: int
    parked: int
    unfinished: int
    outbox_oldest_s: float | None
    """Age of the oldest row that is not published yet; None from an older version."""


@dataclass(slots=True)
class Findings:
    """The outcome of a check."""

    payments: int = 0
    checked: Counter[str] = field(default_factory=Counter)
    """Items checked by invariant: payments, or reports of a service."""
    counts: Counter[str] = field(default_factory=Counter)
    """Violations, by invariant."""
    violations: list[Violation] = field(default_factory=list)
    unfinished: int = 0
    dead_letters: int = 0
    parked: int = 0
    owners: dict[str, OwnerFigures] = field(default_factory=dict)
    """By service; one that did not respond is missing."""
    in_motion: int = 0
    """Payments that changed during the check; the next check looks at them."""
    explained: int = 0
    """Breaks with a bank that people have resolved; they are no violations."""
    notes: list[str] = field(default_factory=list)
    """Omitted parts of the check, a sentence each."""
    missing: list[str] = field(default_factory=list)
    """Missing responses, a sentence each."""

    def add(self, violation: Violation) -> None:
        """Count a violation, and list it up to the limit."""
        self.counts[violation.invariant] += 1
        if self.counts[violation.invariant] <= LISTED:
            self.violations.append(violation)

    def note_unavailable(self, why: str) -> None:
        """Note a missing response, once."""
        if why not in self.missing:
            self.missing.append(why)

    @property
    def is_clean(self) -> bool:
        """Whether no violation was found."""
        return not self.counts

    def invariants(self) -> list[str]:
        """Return the invariants to report, by number."""
        named = {*NAMES, *self.counts, *self.checked}
        return sorted(named, key=lambda name: (len(name), name))

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "payments": self.payments,
            "invariants": {
                name: {"checked": self.checked[name], "violations": self.counts[name]}
                for name in self.invariants()
            },
            "violations": [
                {"invariant": one.invariant, "about": one.about, "details": one.details}
                for one in self.violations
            ],
            "unfinished": self.unfinished,
            "dead_letters": self.dead_letters,
            "parked": self.parked,
            "in_motion": self.in_motion,
            "explained": self.explained,
            "notes": self.notes,
            "missing": self.missing,
        }
