"""What a check has found: how much was looked at, and what is wrong, bounded."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

NAMES = {
    "I1": "no loss: every payment exists at each owner",
    "I2": "no double: the bank moved money exactly once",
    "I3": "ledger: journals, balances, in-flight",
    "I4": "states: only legal steps, version +1",
    "I5": "conservation: each record is in the inbox or a dead letter",
    "I6": "order: nothing late has moved a state back",
    "I8": "liveness: nothing unfinished for too long",
    "I9": "audit: one row per transition",
    "I10": "codes: bounded, accepted once, for this payment",
    "I12": "fail closed: confirmed only with every result",
    "I13": "told: each outcome has its message, once",
}
"""Checked again and again. `check --full` adds I7; an owner may report others of its own."""
NAMES_OF_FULL = {**NAMES, "I7": "replay: one final answer a key, byte for byte"}
LISTED = 100
"""Violations of one invariant that are named; all are counted."""


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must never be."""

    invariant: str
    about: str
    """The payment's id, an account, a UETR."""
    details: str


@dataclass(slots=True)
class Findings:
    """The outcome of a check."""

    payments: int = 0
    checked: Counter[str] = field(default_factory=Counter)
    """Things held against an invariant: payments, or statements of an owner."""
    counts: Counter[str] = field(default_factory=Counter)
    """Violations, by invariant."""
    violations: list[Violation] = field(default_factory=list)
    unfinished: int = 0
    dead_letters: int = 0
    parked: int = 0
    in_motion: int = 0
    """Payments that changed while they were looked at, and were left for the next check."""
    explained: int = 0
    """Breaks with a bank that people have resolved: they stay, and are no violations any more."""
    notes: list[str] = field(default_factory=list)
    """What was not looked at, a sentence each."""
    missing: list[str] = field(default_factory=list)
    """Why something could not be asked, a sentence each."""

    def add(self, violation: Violation) -> None:
        """Count a violation, and keep it while there is room."""
        self.counts[violation.invariant] += 1
        if self.counts[violation.invariant] <= LISTED:
            self.violations.append(violation)

    def not_asked(self, why: str) -> None:
        """Note that somebody could not be asked, once."""
        if why not in self.missing:
            self.missing.append(why)

    @property
    def is_clean(self) -> bool:
        """Whether nothing that was looked at is wrong."""
        return not self.counts

    def invariants(self) -> list[str]:
        """Return the invariants there is something to say about, in order of their numbers."""
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
