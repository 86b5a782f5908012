"""Each request has one trace through all services, without orphan spans."""

import pytest
from opentelemetry.sdk.trace import Tracer
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from simulated_flows import FLOWS
from simulated_world import run

from service_runtime import tracing
from testbed.span_tree import (
    CODE_ASKED_FOR,
    CODE_GIVEN,
    PLAIN,
    POST,
    REJECTED,
    REPEATED,
    SCREENED_OUT,
)


@pytest.fixture
def spans():
    exporter = InMemorySpanExporter()
    tracing.configure_with(SimpleSpanProcessor(exporter), "everybody", 0, 1.0)
    yield exporter
    tracing.shutdown()


class Trace:
    """The spans of one trace, each with the name of its service or of its parent's."""

    def __init__(self, spans):
        self._by_id = {span.context.span_id: span for span in spans}
        self._roots = [span for span in spans if span.parent is None]

    def _service(self, span):
        group = span.attributes.get("messaging.consumer.group.name")
        if group is not None or span.parent is None:
            return group or "gateway"
        # A span without its parent is an orphan, and fails here.
        return self._service(self._by_id[span.parent.span_id])

    def _named(self, span):
        return f"{self._service(span)} {span.name}"

    @property
    def root(self):
        [root] = self._roots
        return self._named(root)

    @property
    def hops(self):
        return frozenset(
            {
                (self._named(self._by_id[span.parent.span_id]), self._named(span))
                for span in self._by_id.values()
                if span.parent is not None
            }
        )

    @property
    def attempts(self):
        return [span.attributes.get("countersign.attempt") for span in self._by_id.values()]


def traces(exporter):
    by_trace = {}
    for span in exporter.get_finished_spans():
        by_trace.setdefault(span.context.trace_id, []).append(span)
    return [Trace(spans) for spans in by_trace.values()]


@pytest.mark.parametrize(
    ("flow", "span_tree"),
    [
        pytest.param("low risk", [PLAIN], id="plain"),
        pytest.param("code", [CODE_ASKED_FOR, CODE_GIVEN], id="with a code"),
        pytest.param("declined", [SCREENED_OUT], id="screened out"),
        pytest.param("unknown, settled", [PLAIN], id="unknown, then settled"),
        pytest.param("unknown, rejected", [REJECTED], id="unknown, then rejected"),
    ],
)
def test_every_span_is_a_child_of_its_cause(spans, flow, span_tree):
    assert run(FLOWS[flow]).violations == []
    found = traces(spans)
    # At the end the client repeats the request, and gets the same response.
    assert {trace.hops for trace in found} == {*span_tree, REPEATED}
    assert {trace.root for trace in found} == {POST}


def test_an_enquiry_stays_in_the_trace_of_the_payment(spans):
    run(FLOWS["unknown, settled"])
    [trace] = [trace for trace in traces(spans) if trace.hops == PLAIN]
    assert 2 in trace.attempts


def test_an_unsampled_request_has_only_the_span_of_the_edge(monkeypatch):
    started = []
    start_span = Tracer.start_span

    def noted(tracer, name, *about, **more):
        started.append(name)
        return start_span(tracer, name, *about, **more)

    monkeypatch.setattr(Tracer, "start_span", noted)
    exporter = InMemorySpanExporter()
    tracing.configure_with(SimpleSpanProcessor(exporter), "everybody", 0, 0.0)
    run(FLOWS["code"])
    tracing.shutdown()
    assert set(started) == {"POST /payment/confirm"}
    assert exporter.get_finished_spans() == ()
