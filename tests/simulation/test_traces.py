"""One request, one trace: from the client through every service, with no span beside it."""

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
    """The spans of one trace, each named with its service: its own, or that of its parent."""

    def __init__(self, spans):
        self._by_id = {span.context.span_id: span for span in spans}
        self._roots = [span for span in spans if span.parent is None]

    def _service(self, span):
        group = span.attributes.get("messaging.consumer.group.name")
        if group is not None or span.parent is None:
            return group or "gateway"
        # A span whose parent is not there is an orphan, and fails here.
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
def test_every_span_hangs_under_the_one_that_caused_it(spans, flow, span_tree):
    assert run(FLOWS[flow]).violations == []
    found = traces(spans)
    # At the end the client asks once more, and gets the same answer.
    assert {trace.hops for trace in found} == {*span_tree, REPEATED}
    assert {trace.root for trace in found} == {POST}


def test_an_outcome_that_is_enquired_about_stays_in_the_payments_trace(spans):
    run(FLOWS["unknown, settled"])
    [trace] = [trace for trace in traces(spans) if trace.hops == PLAIN]
    assert 2 in trace.attempts


def test_below_sampling_only_the_edge_looks(monkeypatch):
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
