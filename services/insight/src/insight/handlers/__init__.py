"""What insight does with assessed payments, their changes, due explanations, and questions."""

from insight.handlers.answering import Answerer
from insight.handlers.assessing import on_erased, on_risk_assessed, on_status_changed
from insight.handlers.explaining import Explainer, needs_nothing, on_explained

__all__ = [
    "Answerer",
    "Explainer",
    "needs_nothing",
    "on_erased",
    "on_explained",
    "on_risk_assessed",
    "on_status_changed",
]
