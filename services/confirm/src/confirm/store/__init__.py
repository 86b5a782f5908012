"""Confirm's tables: the port, PostgreSQL, and the memory twin."""

from confirm.store.memory import MemoryPayments
from confirm.store.port import Payments
from confirm.store.postgres import PostgresPayments

__all__ = ["MemoryPayments", "Payments", "PostgresPayments"]
