"""The service's tables in PostgreSQL."""

from compliance.store.checks import Checks
from compliance.store.payments import Payments
from compliance.store.rules import Rules

__all__ = ["Checks", "Payments", "Rules"]
