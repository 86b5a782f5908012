"""Logs: one JSON object a line, with the name of an event and allow-listed fields only.

With a collector, each line is exported, too, under its span.
"""

import json
import logging
import sys
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from opentelemetry._logs import Logger, SeverityNumber
from opentelemetry.trace import format_trace_id, get_current_span

from service_runtime.exporting import EXPORT_WITHIN_S, QUEUE_LINES, Provider, is_plain, resource

FRAMES = 8
ALLOWED = frozenset(
    {
        "address", "attempts", "caller", "consequence", "consumer", "count", "delay_s",
        "error_class", "field", "method", "offset", "operation", "partition", "payment_id", "port",
        "principal", "reason", "remedy", "request_id", "route", "service", "signal", "status",
        "subject", "table", "topic", "trace_id", "uetr", "work_id",
    }
)  # fmt: skip
"""Allowed fields: ids, counts and names from the code, never text of a person."""


_SEVERITIES = {
    logging.DEBUG: SeverityNumber.DEBUG,
    logging.INFO: SeverityNumber.INFO,
    logging.WARNING: SeverityNumber.WARN,
    logging.ERROR: SeverityNumber.ERROR,
    logging.CRITICAL: SeverityNumber.FATAL,
}


class _JsonLine(logging.Formatter):
    def __init__(self, service: str, instance: int) -> None:
        super().__init__()
        self._process = {"service": service, "instance": instance}

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            **self._process,
            "logger": record.name,
            "event": _event(record),
            **_fields(record),
        }
        return json.dumps(line, default=str)


class _Exported(logging.Handler):
    """Exports a line: its event as the body, its fields as attributes."""

    def __init__(self, logger: Logger) -> None:
        super().__init__()
        self._logger = logger
        # The exporter's own failures are not exported.
        self.addFilter(lambda record: not record.name.startswith("opentelemetry"))

    def emit(self, record: logging.LogRecord) -> None:
        # The log record carries the ids of the span already.
        fields = {name: value for name, value in _fields(record).items() if name != "trace_id"}
        self._logger.emit(
            timestamp=int(record.created * 1e9),
            severity_number=_SEVERITIES.get(record.levelno),
            severity_text=record.levelname,
            body=_event(record),
            attributes={"logger": record.name, **{n: _plain(v) for n, v in fields.items()}},
        )


def _event(record: logging.LogRecord) -> str:
    """Return the name of the event; for a line of a library, the name of its logger."""
    return str(record.msg) if record.name.startswith("countersign") else record.name


def _fields(record: logging.LogRecord) -> Mapping[str, object]:
    fields = dict(getattr(record, "fields", {}))
    if record.exc_info and record.exc_info[0]:
        fields["error_class"] = record.exc_info[0].__qualname__
        # The frames, never the text: an exception's text may hold personal data.
        frames = traceback.extract_tb(record.exc_info[2])[-FRAMES:]
        fields["frames"] = [f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in frames]
    return fields


def _plain(value: object) -> str | int | float | list[str]:
    return value if isinstance(value, str | int | float | list) else str(value)


class Log:
    """The log of one part of a service."""

    def __init__(self, part: str) -> None:
        self._logger = logging.getLogger(f"countersign.{part}")

    def info(self, event: str, **fields: object) -> None:
        """Log an outcome."""
        self._write(logging.INFO, event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Log a failure that is retried."""
        self._write(logging.WARNING, event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Log a failure that needs a person."""
        self._write(logging.ERROR, event, fields)

    def _write(self, level: int, event: str, fields: dict[str, object]) -> None:
        allowed = {name: value for name, value in fields.items() if name in ALLOWED}
        context = get_current_span().get_span_context()
        if context.is_valid:
            allowed["trace_id"] = format_trace_id(context.trace_id)
        self._logger.log(level, event, extra={"fields": allowed})


def configure(service: str, instance: int, level: str, endpoint: str = "") -> list[Provider]:
    """Send all logging of this process to standard output as JSON lines, and to a collector.

    Return the providers to flush at the stop; none without an endpoint.
    """
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_JsonLine(service, instance))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("countersign").setLevel(level)
    return [_export(service, instance, endpoint)] if endpoint else []


def _export(service: str, instance: int, endpoint: str) -> Provider:
    # Imported here, because gRPC costs 30 MiB and a third of a second.
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import (  # noqa: PLC0415
        OTLPLogExporter,
    )
    from opentelemetry.sdk._logs import LoggerProvider  # noqa: PLC0415
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor  # noqa: PLC0415

    exporter = OTLPLogExporter(endpoint, insecure=is_plain(), timeout=EXPORT_WITHIN_S)
    provider = LoggerProvider(resource(service, instance), shutdown_on_exit=False)
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter, max_queue_size=QUEUE_LINES))
    logging.getLogger().addHandler(_Exported(provider.get_logger("countersign")))
    return provider
