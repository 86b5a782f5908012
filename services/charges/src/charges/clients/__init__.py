"""The payment providers, behind one port."""

from charges.clients.port import BadWebhookError, Provider, Report

__all__ = ["BadWebhookError", "Provider", "Report"]
