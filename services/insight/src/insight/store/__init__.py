"""The tables of insight in PostgreSQL."""

from insight.store.budget import Budget
from insight.store.erased import ErasedSubjects
from insight.store.explanations import EXPLANATION_TABLE, Assessed, Explanations, assessed_of
from insight.store.figures import Figures, Viewer
from insight.store.known import KnownPayments
from insight.store.passages import Passages

__all__ = [
    "EXPLANATION_TABLE",
    "Assessed",
    "Budget",
    "ErasedSubjects",
    "Explanations",
    "Figures",
    "KnownPayments",
    "Passages",
    "Viewer",
    "assessed_of",
]
