"""Export to the collector: each line under its span, from bounded queues."""

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
import trustme
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from service_runtime import exporting

WITHIN_S = 60
BATCH = 512
"""The SDK's batch size."""


class Collector(
    logs_service_pb2_grpc.LogsServiceServicer, trace_service_pb2_grpc.TraceServiceServicer
):
    """A collector that stores what it receives; while it is held, it does not respond."""

    def __init__(self):
        self.answers = threading.Event()
        self.answers.set()
        self.lines, self.spans = [], []

    def Export(self, request, context):  # noqa: N802 - the protocol's name
        self.answers.wait(WITHIN_S)
        if not context.is_active():
            return None  # The sender has given up meanwhile.
        if isinstance(request, logs_service_pb2.ExportLogsServiceRequest):
            self.lines += [
                (resource.resource, line)
                for resource in request.resource_logs
                for scope in resource.scope_logs
                for line in scope.log_records
            ]
            return logs_service_pb2.ExportLogsServiceResponse()
        self.spans += [
            span
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
        return trace_service_pb2.ExportTraceServiceResponse()


@pytest.fixture
def authority():
    return trustme.CA()


@pytest.fixture
def collector(authority):
    """A collector with an address for plain text and one for TLS."""
    kept = Collector()
    server = grpc.server(ThreadPoolExecutor(8))
    leaf = authority.issue_cert("127.0.0.1")
    chain = b"".join(part.bytes() for part in leaf.cert_chain_pems)
    credentials = grpc.ssl_server_credentials([(leaf.private_key_pem.bytes(), chain)])
    kept.secure = f"127.0.0.1:{server.add_secure_port('127.0.0.1:0', credentials)}"
    logs_service_pb2_grpc.add_LogsServiceServicer_to_server(kept, server)
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(kept, server)
    kept.endpoint = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield kept
    kept.answers.set()
    server.stop(grace=None).wait(WITHIN_S)


class Run:
    """A separate process, set up as by a service's `run`; `program` may wait for a line."""

    def __init__(self, endpoint, program, **variables):
        code = f"""
import sys
from service_runtime import exporting, logs, tracing
lines = logs.configure('confirm', 1, 'INFO', {endpoint!r})
tracing.configure('confirm', 1, {endpoint!r}, 1.0)
{program}
exporting.shut_down(*tracing.stop(), *lines)
"""
        self._process = subprocess.Popen(  # noqa: S603 - the program is this file's own
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | variables,
        )

    def ended(self, said=""):
        """Let it continue; return the lines that it wrote."""
        out, _ = self._process.communicate(said, timeout=WITHIN_S)
        assert self._process.returncode == 0
        return [json.loads(line) for line in out.splitlines()]

    def says(self):
        return json.loads(self._process.stdout.readline())


LINE = """
with tracing.serving('POST /x', {}, may_begin=True):
    logs.Log('consumer').info('waiting', attempts=3, uetr=None, code='789012')
try:
    raise KeyError('+15550100456')
except KeyError:
    import logging
    logging.getLogger('countersign.x').exception('failed')
logging.getLogger('some.library').warning('to %s', 'a@example.com')
"""


def test_a_line_arrives_under_its_span_with_the_same_fields_as_on_standard_output(collector):
    first, failed, foreign = Run(collector.endpoint, LINE).ended()
    (resource, sent), (_, sent_failed), (_, sent_foreign) = collector.lines
    [span] = collector.spans

    assert sent.trace_id == span.trace_id == bytes.fromhex(first["trace_id"])
    assert sent.span_id == span.span_id
    assert (sent.body.string_value, sent.severity_text) == ("waiting", "INFO")
    assert {one.key for one in sent.attributes} == {"logger", "attempts", "uetr"}
    assert {one.key for one in resource.attributes} >= {"service.name", "service.instance.id"}
    assert {one.key for one in sent_failed.attributes} == {"logger", "error_class", "frames"}
    assert failed["event"] == sent_failed.body.string_value == "failed"
    assert foreign["event"] == sent_foreign.body.string_value == "some.library"
    everything = b"".join(line.SerializeToString() for _, line in collector.lines)
    assert not any(secret in everything for secret in (b"789012", b"0100456", b"example.com"))


@pytest.mark.parametrize(("trusted", "lines"), [(True, 3), (False, 0)])
def test_by_tls_telemetry_goes_to_a_collector_of_the_named_authority_alone(
    collector, authority, tmp_path, trusted, lines
):
    named = authority if trusted else trustme.CA()
    named.cert_pem.write_to_path(tmp_path / "ca.pem")
    variables = {"OTEL_EXPORTER_OTLP_CERTIFICATE": str(tmp_path / "ca.pem")}
    Run(collector.secure, LINE, **variables).ended()
    assert len(collector.lines) == lines


MANY = """
for number in range(3):
    for _ in range(exporting.QUEUE_SPANS):
        with tracing.serving('GET /x', {}, may_begin=True):
            pass
        logs.Log('consumer').info('waiting')
logs.Log('process').info('done')
sys.stdin.read()
"""


def test_a_silent_collector_delays_nothing_and_the_queues_are_bounded(collector):
    collector.answers.clear()
    process = Run(collector.endpoint, MANY)
    while process.says()["event"] != "done":
        pass
    held = len(collector.spans), len(collector.lines)
    collector.answers.set()
    process.ended()

    # "done" is on standard output before it is in the queue, which by then may be emptying.
    waited = [line for _, line in collector.lines if line.body.string_value == "waiting"]
    assert held == (0, 0)
    assert BATCH < len(collector.spans) <= exporting.QUEUE_SPANS + BATCH
    assert BATCH < len(waited) <= exporting.QUEUE_LINES + BATCH
