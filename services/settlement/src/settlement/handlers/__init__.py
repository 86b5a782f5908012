"""Handlers of requests, due instructions, statements and cases."""

from settlement.handlers.instructions import (
    Routing,
    enquire,
    on_due_instructions,
    on_due_instructions_claimed,
    on_settlement_requested,
    send,
    send_once,
)
from settlement.handlers.reconciliation import Reconciliation, Report
from settlement.handlers.resolution import Resolutions

__all__ = [
    "Reconciliation",
    "Report",
    "Resolutions",
    "Routing",
    "enquire",
    "on_due_instructions",
    "on_due_instructions_claimed",
    "on_settlement_requested",
    "send",
    "send_once",
]
