"""One payment, one trace: through HTTP, a topic, the outbox, a handler and a work table."""

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from payment_schemas.events.record import AuditRecorded, NotificationDelivered
from service_runtime import tracing
from service_runtime.clock import SystemClock
from service_runtime.consumer import Consumer, Handler
from service_runtime.errors import Rejected
from service_runtime.messages import Cause, Due, Emit
from service_runtime.ports import OutboxRow
from service_runtime.positions import Positions
from service_runtime.relay import Relay
from service_runtime.unit_of_work import UnitOfWork
from service_runtime.web import HttpPolicy, create_app
from testkit.events import event_of
from testkit.memory import MemoryBroker, MemoryDatabase, MemorySource, SteadyClock

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ROOT = UUID(int=1)


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    tracing.configure_with(SimpleSpanProcessor(exporter), "test", 0, 1.0)
    yield exporter
    tracing.shutdown()


@dataclass
class System:
    """Two services on memory twins; the second reads the topic that the first writes."""

    clock: SteadyClock
    broker: MemoryBroker
    first: Consumer
    second: Consumer
    database: MemoryDatabase

    async def run(self, seconds: float = 0.3) -> None:
        stopping = asyncio.Event()
        running = [asyncio.create_task(one.run(stopping)) for one in (self.first, self.second)]
        await asyncio.sleep(seconds)
        stopping.set()
        await asyncio.gather(*running)


async def forward(batch, _store):
    return [Emit(event_of(NotificationDelivered), item.cause) for item in batch]


async def take(_batch, _store):
    return ()


def system(handle=forward) -> System:
    clock = SteadyClock(NOW)
    broker, database = MemoryBroker(clock), MemoryDatabase(clock)
    other = MemoryDatabase(clock)

    def consumer(name, db, event, handler):
        unit = UnitOfWork(db, Relay(db, broker), name, clock)
        source = MemorySource(broker, [event.topic], Positions(db, name))
        return Consumer(name, source, unit, [Handler(event, handler, lambda tx: tx)], clock)

    first = consumer("first", database, AuditRecorded, handle)
    second = consumer("second", other, NotificationDelivered, take)
    return System(clock, broker, first, second, database)


async def post(system: System, headers: dict[str, str] | None = None) -> httpx.Response:
    """Send one request to an edge that publishes one event."""
    app = create_app("edge", {}, SystemClock(), HttpPolicy(begins_traces=True))

    async def publish(_request):
        emit = Emit(event_of(AuditRecorded), Cause(ROOT, tracing.current_trace()))
        outgoing, span = tracing.sending(emit.outgoing("edge", NOW))
        await system.broker.send(outgoing)
        span.end()
        return httpx_response()

    app.add_route("/publish", publish, methods=["POST"])
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://edge") as http:
        return await http.post("/publish", headers=headers)


def httpx_response():
    from starlette.responses import Response  # noqa: PLC0415

    return Response(status_code=204)


def named(exporter: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in exporter.get_finished_spans()}


async def test_one_trace_from_the_request_through_every_hop(spans):
    twins = system()
    answer = await post(twins)
    await twins.run()
    found = named(spans)
    chain = [
        "POST /publish",
        "send audit.recorded.v1",
        "process audit.recorded.v1",
        "send notification.delivered.v1",
        "process notification.delivered.v1",
    ]
    assert {found[name].context.trace_id for name in chain} == {
        int(answer.headers["X-Trace-Id"], 16)
    }
    for up, down in itertools.pairwise(chain):
        assert found[down].parent.span_id == found[up].context.span_id, (up, down)
    process = found["process audit.recorded.v1"]
    assert process.links[0].context.span_id == found["send audit.recorded.v1"].context.span_id
    assert process.attributes["messaging.destination.name"] == "audit.recorded.v1"
    assert not any("key" in name for span in found.values() for name in span.attributes)


STRANGERS = "00-" + "1" * 32 + "-" + "2" * 16


def kept_by(sample: float) -> InMemorySpanExporter:
    tracing.shutdown()
    exporter = InMemorySpanExporter()
    tracing.configure_with(SimpleSpanProcessor(exporter), "test", 0, sample)
    return exporter


@pytest.mark.parametrize("flag", ["00", "01"])
@pytest.mark.parametrize(("sample", "recorded"), [(0.0, False), (1.0, True)])
async def test_a_callers_sampling_flag_does_not_decide(spans, flag, sample, recorded):
    kept, twins = kept_by(sample), system()
    answer = await post(twins, {"traceparent": f"{STRANGERS}-{flag}", "tracestate": "a=b"})
    await twins.run()

    assert bool(kept.get_finished_spans()) is recorded
    assert answer.headers["X-Trace-Id"] == "1" * 32
    [record] = twins.broker.topics["notification.delivered.v1"]
    headers = dict(record.headers)
    assert headers["traceparent"].decode().endswith("-01" if recorded else "-00")
    assert "tracestate" not in headers


async def test_a_callers_trace_id_does_not_decide_the_sampling(spans):
    kept = kept_by(0.01)
    # The sampler keeps the ids whose lower half is small.
    await post(system(), {"traceparent": f"00-{'1' * 16}{'0' * 15}1-{'2' * 16}-01"})
    for _ in range(20):
        await post(system(), {"traceparent": f"00-{'1' * 16}{'0' * 15}1-{'2' * 16}-01"})

    assert len([one for one in kept.get_finished_spans() if one.name == "POST /publish"]) < 10


async def test_two_traceparent_headers_are_ignored(spans):
    app = create_app("edge", {}, SystemClock(), HttpPolicy(begins_traces=True))
    pairs = [("traceparent", f"{STRANGERS}-01"), ("traceparent", f"00-{'3' * 32}-{'4' * 16}-01")]
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://edge"
    ) as http:
        answer = await http.get("/nowhere", headers=pairs)

    assert answer.headers["X-Trace-Id"] not in ("1" * 32, "3" * 32)


async def test_a_repeated_record_shows_as_a_duplicate(spans):
    twins = system()
    await post(twins)
    await twins.run()
    twins.first._source.lose_offsets()
    await twins.run()
    marks = [
        span.attributes.get("duplicate", False)
        for span in spans.get_finished_spans()
        if span.name == "process audit.recorded.v1"
    ]
    assert marks == [False, True]


async def test_a_dead_letter_shows_as_an_error_without_its_text(spans):
    async def refuse(_batch, _store):
        raise Rejected("account 1234567890")

    twins = system(refuse)
    await post(twins)
    await twins.run()
    span = named(spans)["process audit.recorded.v1"]
    assert span.attributes["error.type"] == "Rejected"
    assert span.attributes["countersign.set_aside"] == "dead letter: rejected"
    assert not span.events
    assert "1234567890" not in span.to_json()


@pytest.mark.parametrize("late", ["old", "redriven"])
async def test_a_late_record_starts_a_trace_that_links_back(spans, late):
    twins = system()
    await post(twins)
    [record] = twins.broker.topics["audit.recorded.v1"]
    if late == "old":
        changed = replace(record, timestamp_ms=record.timestamp_ms - 301_000)
    else:
        changed = replace(record, headers=(*record.headers, (tracing.REDRIVEN, b"now")))
    twins.broker.topics["audit.recorded.v1"] = [changed]
    await twins.run()
    found = named(spans)
    process = found["process audit.recorded.v1"]
    assert process.parent is None
    assert process.attributes["countersign.late"] == late
    assert process.links[0].context.trace_id == found["POST /publish"].context.trace_id
    assert process.context.trace_id != found["POST /publish"].context.trace_id


async def test_a_swept_row_starts_a_trace_that_links_back(spans):
    twins = system()
    await post(twins)
    [record] = twins.broker.topics["audit.recorded.v1"]
    emit = Emit(event_of(AuditRecorded), Cause(ROOT, trace_in(record)))
    relay = Relay(twins.database, twins.broker)
    await relay.publish([OutboxRow(7, (emit.outgoing("first", NOW),), waited_s=12.0)])
    await relay.flush()
    swept = spans.get_finished_spans()[-1]
    assert swept.name == "send audit.recorded.v1"
    assert swept.parent is None
    assert swept.attributes["outbox.wait_s"] == 12.0
    assert swept.links[0].context.trace_id == named(spans)["POST /publish"].context.trace_id


def trace_in(record):
    return tuple((n, v.decode()) for n, v in record.headers if n == "traceparent")


async def test_due_work_continues_the_trace_and_a_late_try_links_back(spans):
    twins = system()
    await post(twins)
    [record] = twins.broker.topics["audit.recorded.v1"]
    cause = Cause(ROOT, trace_in(record))
    for attempts in (1, tracing.LATE_ATTEMPTS + 1):
        with tracing.processing([Due("row", cause, 1, attempts)], NOW.timestamp()) as [due]:
            with tracing.calling("POST bank") as headers:
                assert headers["traceparent"]
            assert due.cause.trace != cause.trace
    first, late = [span for span in spans.get_finished_spans() if span.name == "work str"]
    root = named(spans)["POST /publish"].context.trace_id
    assert first.context.trace_id == root
    assert late.context.trace_id != root
    assert late.links[0].context.trace_id == root
    calls = [span for span in spans.get_finished_spans() if span.name == "POST bank"]
    assert [call.parent.span_id for call in calls] == [
        first.context.span_id,
        late.context.span_id,
    ]


async def test_a_call_for_a_batch_links_to_every_item_and_a_call_for_one_is_its_child(spans):
    traces = [(("traceparent", f"00-{n * 32}-{n * 16}-01"),) for n in "123"]
    due = [Due("row", Cause(UUID(int=n), trace), 1, 1) for n, trace in enumerate(traces)]
    with tracing.processing(due, NOW.timestamp()):
        with tracing.calling("POST bank"):
            pass
        with tracing.use_span(UUID(int=2)), tracing.calling("POST sms"):
            pass
    found = named(spans)
    work = {f"{span.context.trace_id:032x}"[0]: span for span in spans.get_finished_spans()[2:]}
    bank, sms = found["POST bank"], found["POST sms"]
    assert bank.parent.span_id == work["1"].context.span_id
    assert [link.context.span_id for link in bank.links] == [
        work["2"].context.span_id,
        work["3"].context.span_id,
    ]
    assert sms.parent.span_id == work["3"].context.span_id
    assert not sms.links


async def test_probes_begin_no_traces(spans):
    app = create_app("edge", {}, SystemClock(), HttpPolicy(begins_traces=True))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://edge"
    ) as http:
        await http.get("/health", headers={"traceparent": f"{STRANGERS}-01"})
        await http.get("/ready")
    assert spans.get_finished_spans() == ()


def test_without_an_endpoint_nothing_is_configured():
    tracing.configure("test", 0, "", 1.0)
    with tracing.calling("anything") as headers:
        assert headers == {}
