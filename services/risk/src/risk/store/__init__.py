"""Risk's tables: assessments, and what it has learned from successful payments."""

from risk.store.memory import MemoryAssessments
from risk.store.port import Assessments, Learned, Window
from risk.store.postgres import PostgresAssessments, assessment_table

__all__ = [
    "Assessments",
    "Learned",
    "MemoryAssessments",
    "PostgresAssessments",
    "Window",
    "assessment_table",
]
