"""The edge of an API service: tokens, scopes, limits, client addresses, refusals."""

from service_runtime.callers import BadTokenError, Caller
from service_runtime.edge.admission import Access, Admission
from service_runtime.edge.settings import EdgeSettings

__all__ = ["Access", "Admission", "BadTokenError", "Caller", "EdgeSettings"]
