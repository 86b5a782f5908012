"""What webhooks talks to: the owners' endpoints."""

from webhooks.clients.calls import Calls
from webhooks.clients.names import Resolver

__all__ = ["Calls", "Resolver"]
