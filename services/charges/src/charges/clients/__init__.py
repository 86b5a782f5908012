"""The payment providers, behind one port."""

from charges.clients.port import BadWebhookError, DisputeReport, Provider, Report
from charges.clients.router import METHOD, Router

__all__ = ["METHOD", "BadWebhookError", "DisputeReport", "Provider", "Report", "Router"]
