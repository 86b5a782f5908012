"""What the topics say of payments, and the screening of them with changed lists."""

from screening.handlers.payments import on_assessed, on_decided, on_requested
from screening.handlers.rescreening import Rescreening

__all__ = ["Rescreening", "on_assessed", "on_decided", "on_requested"]
