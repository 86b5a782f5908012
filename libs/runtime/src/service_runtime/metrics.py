"""Metrics: one meter a process, read on `/metrics` and, where a collector is set, sent by OTLP."""

from collections.abc import Callable, Iterable, Sequence
from functools import cache

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import CallbackOptions, Counter, Histogram, Meter, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from prometheus_client import REGISTRY, generate_latest

LATENCY_BUCKETS_S = (
    0.005, 0.01, 0.015, 0.025, 0.04, 0.06, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2, 5, 10, 30, 60, 120,
)  # fmt: skip
SIZE_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 500)


@cache
def _meter() -> Meter:
    reader = PrometheusMetricReader()
    provider = MeterProvider([reader], Resource.create(), shutdown_on_exit=False)
    return provider.get_meter("countersign")


def counter(name: str, description: str) -> Counter:
    """Return a counter; Prometheus shows it with `_total` behind the name."""
    return _meter().create_counter(name, description=description)


def histogram(
    name: str, description: str, buckets: Sequence[float] = LATENCY_BUCKETS_S, unit: str = "s"
) -> Histogram:
    """Return a histogram; one in seconds is shown with `_seconds` behind the name."""
    return _meter().create_histogram(
        name, unit, description, explicit_bucket_boundaries_advisory=buckets
    )


def gauge(name: str, description: str, read: Callable[[], dict[str, float] | float]) -> None:
    """Observe a value whenever somebody looks; a dict gives one value per `kind`."""

    def observe(_options: CallbackOptions) -> Iterable[Observation]:
        found = read()
        if isinstance(found, dict):
            return [Observation(value, {"kind": kind}) for kind, value in found.items()]
        return [Observation(found)]

    _meter().create_observable_gauge(name, [observe], description=description)


def exposition() -> bytes:
    """Return all metrics in Prometheus' text format."""
    _meter()
    return generate_latest(REGISTRY)
