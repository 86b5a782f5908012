"""The service's tables in PostgreSQL."""

from screening.store.exceptions import Exceptions
from screening.store.payments import Payments

__all__ = ["Exceptions", "Payments"]
