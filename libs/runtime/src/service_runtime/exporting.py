"""Export of telemetry to the collector: in the background, from bounded queues."""

import os
import threading
import time
from typing import Protocol

from opentelemetry.sdk.resources import Resource

EXPORT_WITHIN_S = 2
SHUTDOWN_WITHIN_S = 3
QUEUE_SPANS = 8192
QUEUE_LINES = 2048
"""A full queue drops its oldest entries."""


class Provider(Protocol):
    """OpenTelemetry's provider of spans or of log records, with its queue."""

    def shutdown(self) -> object:
        """Export the queue, then stop."""


def is_plain() -> bool:
    """Return whether telemetry is sent without TLS: no authority of the collector is named.

    The exporters read the variable themselves.
    """
    return not os.environ.get("OTEL_EXPORTER_OTLP_CERTIFICATE")


def resource(service: str, instance: int) -> Resource:
    """Return the attributes of the process that every signal carries."""
    return Resource.create({"service.name": service, "service.instance.id": str(instance)})


def shut_down(*providers: Provider) -> None:
    """Flush all in parallel, with a timeout: the SDK's own is 30 s if the collector is down."""
    deadline_s = time.monotonic() + SHUTDOWN_WITHIN_S
    flushing = [threading.Thread(target=one.shutdown, daemon=True) for one in providers]
    for thread in flushing:
        thread.start()
    for thread in flushing:
        thread.join(max(0.0, deadline_s - time.monotonic()))
