"""Metrics: one meter a process, served at `/metrics` and, with a collector, exported by OTLP."""

import os
from collections.abc import Callable, Iterable, Sequence
from functools import cache

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import CallbackOptions, Counter, Histogram, Meter, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from prometheus_client import REGISTRY, generate_latest

from service_runtime.exporting import is_plain

EXPORT_EVERY_S = 10
EXPORT_WITHIN_S = 2
LATENCY_BUCKETS_S = (
    0.005, 0.01, 0.015, 0.025, 0.04, 0.06, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2, 5, 10, 30, 60, 120,
)  # fmt: skip
SIZE_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 500)


@cache
def _meter() -> Meter:
    # Instruments are made while modules are imported, before any settings are read.
    endpoint = os.environ.get("OTLP_ENDPOINT", "")
    readers = [PrometheusMetricReader(), *([_otlp_reader(endpoint)] if endpoint else [])]
    # The SDK reads the name of the service from OTEL_SERVICE_NAME.
    resource = Resource.create({"service.instance.id": os.environ.get("INSTANCE", "0")})
    provider = MeterProvider(readers, resource, shutdown_on_exit=False)
    return provider.get_meter("countersign")


def _otlp_reader(endpoint: str) -> MetricReader:
    # Imported here, because gRPC costs 30 MiB and a third of a second.
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import (  # noqa: PLC0415
        OTLPMetricExporter,
    )

    exporter = OTLPMetricExporter(endpoint, insecure=is_plain(), timeout=EXPORT_WITHIN_S)
    return PeriodicExportingMetricReader(
        exporter,
        export_interval_millis=EXPORT_EVERY_S * 1000,
        export_timeout_millis=EXPORT_WITHIN_S * 1000,
    )


def counter(name: str, description: str) -> Counter:
    """Return a counter; Prometheus adds `_total` to the name."""
    return _meter().create_counter(name, description=description)


def histogram(
    name: str, description: str, buckets: Sequence[float] = LATENCY_BUCKETS_S, unit: str = "s"
) -> Histogram:
    """Return a histogram; Prometheus adds `_seconds` to the name of one in seconds."""
    return _meter().create_histogram(
        name, unit, description, explicit_bucket_boundaries_advisory=buckets
    )


def gauge(
    name: str,
    description: str,
    read: Callable[[], dict[str, float] | float],
    label: str = "kind",
) -> None:
    """Read a value at each collection; a dict has one value for each value of the label."""

    def observe(_options: CallbackOptions) -> Iterable[Observation]:
        found = read()
        if isinstance(found, dict):
            return [Observation(value, {label: name}) for name, value in found.items()]
        return [Observation(found)]

    _meter().create_observable_gauge(name, [observe], description=description)


def exposition() -> bytes:
    """Return all metrics in Prometheus' text format."""
    _meter()
    return generate_latest(REGISTRY)
