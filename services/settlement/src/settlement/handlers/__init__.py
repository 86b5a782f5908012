"""Handlers of requests, due instructions, statements and cases."""

from settlement.handlers.bank_reports import TOPICS as REPORT_TOPICS
from settlement.handlers.bank_reports import on_bank_reports
from settlement.handlers.instructions import (
    Routing,
    enquire,
    on_due_instructions,
    on_due_instructions_claimed,
    on_settlement_requested,
    send,
    send_once,
)
from settlement.handlers.publishing import Outlet, on_due_publications
from settlement.handlers.reconciliation import Reconciliation, Report
from settlement.handlers.replays import STEP_S as REPLAY_STEP_S
from settlement.handlers.replays import Replays
from settlement.handlers.resolution import Resolutions
from settlement.handlers.watching import PartnerWatch

__all__ = [
    "REPLAY_STEP_S",
    "REPORT_TOPICS",
    "Outlet",
    "PartnerWatch",
    "Reconciliation",
    "Replays",
    "Report",
    "Resolutions",
    "Routing",
    "enquire",
    "on_bank_reports",
    "on_due_instructions",
    "on_due_instructions_claimed",
    "on_due_publications",
    "on_settlement_requested",
    "send",
    "send_once",
]
