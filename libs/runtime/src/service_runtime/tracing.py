"""Spans through HTTP, Kafka, the outbox and work tables: one payment, one trace.

A record carries its sender's span in `traceparent`, and its handler continues the trace, so that no
topic breaks it. An unsampled record costs only a look at the flag of the header. Spans hold ids and
counts, never keys, payloads, parameters of queries or texts of errors.
Names: OpenTelemetry semantic conventions 1.44 for messaging, HTTP and databases.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, TypeVar
from uuid import UUID

from opentelemetry import context as otel
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, TraceIdRatioBased
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    Tracer,
    format_trace_id,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from payment_schemas.cloudevents import TRACE_HEADERS
from service_runtime.exporting import (
    EXPORT_WITHIN_S,
    QUEUE_SPANS,
    Provider,
    is_plain,
    resource,
    shut_down,
)
from service_runtime.messages import Due, ProducerRecord, Received, Trace

STALE_AFTER_S = 300
"""An older record starts a new trace with a link back: tail sampling of the old one is over."""
LATE_ATTEMPTS = 5
"""So does a due row with more attempts."""
REDRIVEN = "redriven_at"
"""Header of a record that an operator has redriven."""

_propagator = TraceContextTextMapPropagator()
_spans: ContextVar[Mapping[UUID, Span]] = ContextVar("spans", default=MappingProxyType({}))
_together: ContextVar[tuple[Span, ...]] = ContextVar("together", default=())
"""The spans of a batch, for calls on behalf of the whole batch."""
ItemT = TypeVar("ItemT", Received[Any], Due[Any])


class _Tracing:
    """The process' tracing: off until it is configured."""

    provider: TracerProvider | None = None
    tracer: Tracer | None = None


def configure(service: str, instance: int, endpoint: str, sample: float) -> None:
    """Send spans to a collector; without an endpoint, leave tracing off."""
    if endpoint:
        # Imported here, because gRPC costs 30 MiB and a third of a second.
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

        exporter = OTLPSpanExporter(endpoint, insecure=is_plain(), timeout=EXPORT_WITHIN_S)
        processor = BatchSpanProcessor(exporter, max_queue_size=QUEUE_SPANS)
        configure_with(processor, service, instance, sample)


def configure_with(processor: SpanProcessor, service: str, instance: int, sample: float) -> None:
    """Pass spans to a processor; tests pass one that keeps them."""
    sampler = ParentBased(TraceIdRatioBased(sample))
    origin = resource(service, instance)
    _Tracing.provider = TracerProvider(sampler, origin, shutdown_on_exit=False)
    _Tracing.provider.add_span_processor(processor)
    _Tracing.tracer = _Tracing.provider.get_tracer("countersign")


def stop() -> list[Provider]:
    """Stop tracing; return the provider to flush."""
    provider, _Tracing.provider, _Tracing.tracer = _Tracing.provider, None, None
    return [provider] if provider is not None else []


def shutdown() -> None:
    """Stop tracing, and flush."""
    shut_down(*stop())


def is_sampled(trace: Trace) -> bool:
    """Return whether the trace is recorded upstream. Source: W3C Trace Context, 3.2.2.5."""
    return any(name == "traceparent" and value[-1:] in "13579bdf" for name, value in trace)


def current_trace() -> Trace:
    """Return the current span as the headers of a record or the `trace` of a row."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return tuple(carrier.items())


def current_trace_id() -> str | None:
    """Return the id of the current trace, for logs and responses."""
    context = get_current_span().get_span_context()
    return format_trace_id(context.trace_id) if context.is_valid else None


@contextmanager
def processing(
    items: Sequence[ItemT], now_s: float, group: str | None = None
) -> Iterator[Sequence[ItemT]]:
    """Start a span for each sampled item; yield the items with these spans as their traces.

    Calls meanwhile, to other services or the database, are children of the first item's span.
    `group` is the consumer group of records.
    """
    tracer = _Tracing.tracer
    if tracer is None or not any(is_sampled(item.cause.trace) for item in items):
        yield items
        return
    spans = {
        item.cause.id: _started(tracer, item, now_s)
        for item in items
        if is_sampled(item.cause.trace)
    }
    token = otel.attach(set_span_in_context(next(iter(spans.values()))))
    known, together = _spans.set(spans), _together.set(tuple(spans.values()))
    try:
        yield [_moved_on(item, spans.get(item.cause.id)) for item in items]
    except Exception as error:
        for span in spans.values():
            _failed(span, type(error).__qualname__)
        raise
    finally:
        _spans.reset(known)
        _together.reset(together)
        otel.detach(token)
        for span in spans.values():
            if group is not None:
                span.set_attribute("messaging.consumer.group.name", group)
            span.end()


def mark(cause_id: UUID, **attributes: str | int | bool) -> None:
    """Set attributes on the item's span, if it has one."""
    _spans.get().get(cause_id, INVALID_SPAN).set_attributes(attributes)


def mark_failed(cause_id: UUID, error_class: str, reason: str) -> None:
    """Set the item's span to failed: a dead letter or parked."""
    span = _spans.get().get(cause_id, INVALID_SPAN)
    span.set_attribute("countersign.set_aside", reason)
    _failed(span, error_class)


def link(cause_id: UUID, trace: Trace) -> None:
    """Link the item's span to another trace of the same payment."""
    context = get_current_span(_propagator.extract(dict(trace))).get_span_context()
    if context.is_valid:
        _spans.get().get(cause_id, INVALID_SPAN).add_link(context)


@contextmanager
def use_span(cause_id: UUID) -> Iterator[None]:
    """Make calls meanwhile children of the item's own span, if it has one."""
    span = _spans.get().get(cause_id)
    if span is None:
        yield
        return
    token, alone = otel.attach(set_span_in_context(span)), _together.set(())
    try:
        yield
    finally:
        _together.reset(alone)
        otel.detach(token)


@contextmanager
def serving(name: str, headers: Mapping[str, str], *, may_begin: bool) -> Iterator[Span]:
    """Run a request in a span; only the edge begins traces and decides on their sampling."""
    tracer = _Tracing.tracer
    if tracer is None:
        yield INVALID_SPAN
        return
    parent = _propagator.extract(headers, context=otel.Context())
    known = get_current_span(parent).get_span_context().is_valid
    if not (known or may_begin):
        yield INVALID_SPAN
        return
    if known and may_begin:
        parent = _decided_here(parent)
    with tracer.start_as_current_span(
        name, parent, SpanKind.SERVER, record_exception=False, set_status_on_exception=False
    ) as span:
        yield span


def _decided_here(parent: otel.Context) -> otel.Context:
    """Return a caller's trace with a sampling flag of this service's own.

    The sampler gets a new trace id, because a caller could choose one that is always sampled.
    """
    provider = _Tracing.provider
    assert provider is not None  # noqa: S101 - there is a tracer
    ours = provider.id_generator.generate_trace_id()
    recorded = provider.sampler.should_sample(None, ours, "").decision is Decision.RECORD_AND_SAMPLE
    found = get_current_span(parent).get_span_context()
    flags = TraceFlags(TraceFlags.SAMPLED if recorded else TraceFlags.DEFAULT)
    decided = SpanContext(found.trace_id, found.span_id, is_remote=True, trace_flags=flags)
    return set_span_in_context(NonRecordingSpan(decided), otel.Context())


@contextmanager
def calling(name: str, **attributes: str | int) -> Iterator[dict[str, str]]:
    """Run a call in a child of the current span, if that is recorded; yield the headers to send.

    A call for a whole batch is a child of its first item's span, with links to the others.
    """
    tracer = _Tracing.tracer
    if tracer is None or not get_current_span().is_recording():
        yield {}
        return
    with tracer.start_as_current_span(
        name,
        kind=SpanKind.CLIENT,
        attributes=attributes,
        links=_others(),
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield dict(current_trace())
        except Exception as error:
            _failed(span, type(error).__qualname__)
            raise


def _others() -> list[Link]:
    """Return links to the other items of the current batch."""
    running = get_current_span()
    spans = _together.get()
    return [Link(span.get_span_context()) for span in spans if span is not running]


def sending(
    outgoing: ProducerRecord, swept_after_s: float | None = None
) -> tuple[ProducerRecord, Span]:
    """Return the record with a producer span in its headers, and the span; the caller ends it."""
    tracer = _Tracing.tracer
    if tracer is None:
        return outgoing, INVALID_SPAN
    trace = tuple(
        (name, value.decode("ascii", "replace"))
        for name, value in outgoing.headers
        if name in TRACE_HEADERS and value is not None
    )
    if not is_sampled(trace):
        return outgoing, INVALID_SPAN
    attributes = _messaging(outgoing.topic, "send")
    swept = swept_after_s is not None
    plan = _Plan(f"send {outgoing.topic}", SpanKind.PRODUCER, attributes, stale=swept)
    span = _under(tracer, trace, plan)
    if swept_after_s is not None:
        span.set_attribute("outbox.wait_s", round(swept_after_s, 3))
    headers = tuple(
        pair for pair in outgoing.headers if pair[0] not in ("traceparent", "tracestate")
    )
    moved = tuple((name, value.encode()) for name, value in _trace_of(span))
    return replace(outgoing, headers=headers + moved), span


def _messaging(topic: str, operation: str) -> dict[str, str | int]:
    return {
        "messaging.system": "kafka",
        "messaging.destination.name": topic,
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
    }


def _started(tracer: Tracer, item: Received[Any] | Due[Any], now_s: float) -> Span:
    if isinstance(item, Due):
        late = item.attempts > LATE_ATTEMPTS
        attributes: dict[str, str | int] = {"countersign.attempt": item.attempts}
        name = f"work {type(item.row).__name__.lower()}"
        plan = _Plan(name, SpanKind.INTERNAL, attributes, stale=late)
        return _under(tracer, item.cause.trace, plan)
    record = item.record
    attributes = _messaging(record.topic, "process") | {
        "messaging.destination.partition.id": str(record.partition),
        "messaging.kafka.offset": record.offset,
    }
    redriven = any(name == REDRIVEN for name, _ in record.headers)
    stale = redriven or now_s - record.timestamp_ms / 1000 > STALE_AFTER_S
    if stale:
        attributes["countersign.late"] = "redriven" if redriven else "old"
    plan = _Plan(f"process {record.topic}", SpanKind.CONSUMER, attributes, stale=stale)
    return _under(tracer, item.cause.trace, plan)


@dataclass(frozen=True, slots=True)
class _Plan:
    """Parameters of a span."""

    name: str
    kind: SpanKind
    attributes: Mapping[str, str | int]
    stale: bool = False


def _under(tracer: Tracer, trace: Trace, plan: _Plan) -> Span:
    """Start a child of the span that a record or row carries; a root with a link if it is stale."""
    parent = _propagator.extract(dict(trace), context=otel.Context())
    links = [Link(get_current_span(parent).get_span_context())]
    context = otel.Context() if plan.stale else parent
    return tracer.start_span(
        plan.name, context, plan.kind, plan.attributes, links, record_exception=False
    )


def _moved_on(item: ItemT, span: Span | None) -> ItemT:
    if span is None:
        return item
    return replace(item, cause=replace(item.cause, trace=_trace_of(span)))


def _trace_of(span: Span) -> Trace:
    carrier: dict[str, str] = {}
    _propagator.inject(carrier, set_span_in_context(span, otel.Context()))
    return tuple(carrier.items())


def _failed(span: Span, error_class: str) -> None:
    span.set_attribute("error.type", error_class)
    span.set_status(StatusCode.ERROR)
