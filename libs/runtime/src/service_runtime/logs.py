"""Logs: one JSON object a line, an event's name and allow-listed fields; nothing else gets out."""

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path

from opentelemetry.trace import format_trace_id, get_current_span

FRAMES = 8
ALLOWED = frozenset(
    {
        "attempts", "caller", "consequence", "consumer", "count", "delay_s", "error_class", "field",
        "method", "offset", "partition", "payment_id", "port", "reason", "request_id", "route",
        "service", "signal", "status", "table", "topic", "trace_id", "uetr", "work_id",
    }
)  # fmt: skip
"""What may stand in a line: ids, counts and names of ours, never what a person wrote."""


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
            "event": record.msg if record.name.startswith("countersign") else record.name,
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[0]:
            line["error_class"] = record.exc_info[0].__qualname__
            # Where it happened, never what it said: an exception's text may quote a customer.
            frames = traceback.extract_tb(record.exc_info[2])[-FRAMES:]
            line["frames"] = [f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in frames]
        return json.dumps(line, default=str)


class Log:
    """Writes events of one part of a service."""

    def __init__(self, part: str) -> None:
        self._logger = logging.getLogger(f"countersign.{part}")

    def info(self, event: str, **fields: object) -> None:
        """Write an outcome."""
        self._write(logging.INFO, event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Write what went wrong and mends itself."""
        self._write(logging.WARNING, event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Write what a person must look at."""
        self._write(logging.ERROR, event, fields)

    def _write(self, level: int, event: str, fields: dict[str, object]) -> None:
        allowed = {name: value for name, value in fields.items() if name in ALLOWED}
        context = get_current_span().get_span_context()
        if context.is_valid:
            allowed["trace_id"] = format_trace_id(context.trace_id)
        self._logger.log(level, event, extra={"fields": allowed})


def configure(service: str, instance: int, level: str) -> None:
    """Send all logging of this process to standard output as JSON lines."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_JsonLine(service, instance))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("countersign").setLevel(level)
    # One line per record and per reconnect would halve throughput and say nothing new.
    for name in ("aiokafka", "faststream", "uvicorn.access"):
        logging.getLogger(name).setLevel(logging.ERROR)
