"""What webhooks does with changes of payments and with due deliveries."""

from webhooks.handlers.changes import on_status_changed
from webhooks.handlers.sending import Sender, load, on_called, seal_again

__all__ = ["Sender", "load", "on_called", "on_status_changed", "seal_again"]
