"""The service's tables in PostgreSQL."""

from compliance.store.cases import Cases
from compliance.store.checks import Checks
from compliance.store.payments import Payments
from compliance.store.reviews import Reviews, evidence_of
from compliance.store.rules import Rules

__all__ = ["Cases", "Checks", "Payments", "Reviews", "Rules", "evidence_of"]
