"""What leaves a process for the collector: nobody waits for it, and it never grows past a bound."""

import threading
import time
from typing import Protocol

from opentelemetry.sdk.resources import Resource

EXPORT_WITHIN_S = 2
SHUTDOWN_WITHIN_S = 3
QUEUE_SPANS = 8192
QUEUE_LINES = 2048
"""Past these the oldest are dropped."""


class Provider(Protocol):
    """Holds what is to be exported: OpenTelemetry's providers of spans and of log records."""

    def shutdown(self) -> object:
        """Export what is left, and end."""


def resource(service: str, instance: int) -> Resource:
    """Return who the process is, as every signal says it."""
    return Resource.create({"service.name": service, "service.instance.id": str(instance)})


def shut_down(*providers: Provider) -> None:
    """Flush all at once, bounded: with the collector down the SDK itself takes half a minute."""
    deadline_s = time.monotonic() + SHUTDOWN_WITHIN_S
    flushing = [threading.Thread(target=one.shutdown, daemon=True) for one in providers]
    for thread in flushing:
        thread.start()
    for thread in flushing:
        thread.join(max(0.0, deadline_s - time.monotonic()))
