"""Confirm's tables: the port, PostgreSQL, and the memory twin."""

from confirm.store.memory import MemoryPayments
from confirm.store.port import UNFINISHED, Payments
from confirm.store.postgres import PostgresDeadlines, PostgresPayments

__all__ = ["UNFINISHED", "MemoryPayments", "Payments", "PostgresDeadlines", "PostgresPayments"]
