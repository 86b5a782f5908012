"""The trace of a payment's second request links to the trace of its first request."""

from dataclasses import replace

import pytest
from confirm_builders import again, first_request
from confirm_world import MemoryWorld
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from payment_schemas.events.base import ClientContext
from service_runtime import tracing
from service_runtime.messages import Batch, Cause
from testkit.events import NOON, received
from testkit.memory import MemoryDatabase, SteadyClock

FIRST = "00-" + "1" * 32 + "-" + "a" * 16 + "-01"
SECOND = "00-" + "2" * 32 + "-" + "b" * 16 + "-01"


@pytest.fixture
def spans():
    exporter = InMemorySpanExporter()
    tracing.configure_with(SimpleSpanProcessor(exporter), "confirm", 0, 1.0)
    yield exporter
    tracing.shutdown()


async def take(world, request, traceparent):
    """Handle one request as the consumer does, in its own span."""
    context = ClientContext(traceparent=traceparent)
    item = received(request.model_copy(update={"context": context}), world.clock.new_id())
    item = replace(item, cause=Cause(item.cause.id, (("traceparent", traceparent),)))
    now = world.clock.now()
    with tracing.processing([item], now.timestamp()) as traced:
        async with world.stored() as payments:
            await world.handler(request)(Batch(traced, now), payments)


async def test_a_later_request_links_to_the_request_that_created_the_payment(spans):
    clock = SteadyClock(NOON)
    world = MemoryWorld(clock, MemoryDatabase(clock))
    first = first_request()
    await world.open_account(first.from_account, first.user_id, 10_000_00)

    await take(world, first, FIRST)
    await take(world, again(), SECOND)

    first_span, repeated = spans.get_finished_spans()
    traces = [f"{link.context.trace_id:032x}" for link in first_span.links]
    assert traces == ["1" * 32]
    traces = [f"{link.context.trace_id:032x}" for link in repeated.links]
    assert traces == ["2" * 32, "1" * 32]
