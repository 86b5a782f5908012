"""Risk's tables: the port, PostgreSQL, and the memory twin."""

from risk.store.identities import KnownIdentities, known_statuses
from risk.store.memory import MemoryAssessments
from risk.store.port import Assessments, SuccessfulPayment, Window
from risk.store.postgres import PostgresAssessments, assessment_table

__all__ = [
    "Assessments",
    "KnownIdentities",
    "MemoryAssessments",
    "PostgresAssessments",
    "SuccessfulPayment",
    "Window",
    "assessment_table",
    "known_statuses",
]
