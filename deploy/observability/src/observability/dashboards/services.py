"""Services: latency, errors and resources."""

from grafana_foundation_sdk.builders import dashboard as builder
from grafana_foundation_sdk.models import units

from observability.alerts import COLLECTOR, SIGNALS, lost
from observability.dashboards.panels import RATE, PanelText, Query, dashboard, graph, number

_DURATION = "http_server_request_duration_seconds"


def services() -> builder.Dashboard:
    """Return the dashboard of all processes: requests, spans and resources."""
    return dashboard(
        "Services",
        "services",
        [
            ("Requests", _requests()),
            ("The console", _console()),
            ("Live status", _streams()),
            ("Spans", _spans()),
            ("Resources", _use()),
            ("The collector", _collector()),
        ],
    )


_NOT_FOR_CLIENTS = "/admin/.*|/docs.*|/openapi.json|/asyncapi"


def _requests() -> list[object]:
    return [
        graph(
            PanelText("Answers", "1 if the process responds.", units.Short),
            Query('up{job="services"}', "{{service_name}}"),
        ),
        graph(
            PanelText("Requests", "Requests a second, by service.", units.RequestsPerSecond),
            Query(f"sum by (service_name) (rate({_DURATION}_count[{RATE}]))", "{{service_name}}"),
        ),
        graph(
            PanelText(
                "Duration",
                "p95 of the slowest 20 routes, without admin routes and documents.",
                units.Seconds,
            ),
            Query(
                "topk(20, histogram_quantile(0.95, sum by (le, service_name, http_route)"
                f' (rate({_DURATION}_bucket{{http_route!~"{_NOT_FOR_CLIENTS}"}}[{RATE}]))))',
                "{{service_name}} {{http_route}}",
                exemplars=True,
            ),
        ),
        graph(
            PanelText("Server errors", "5xx responses a second.", units.RequestsPerSecond),
            Query(
                "sum by (service_name)"
                f' (rate({_DURATION}_count{{http_response_status_code=~"5.."}}[{RATE}]))'
                " or vector(0)",
                "{{service_name}}",
            ),
        ),
    ]


_OF_CONSOLE = f'service_name="ops",http_route!~"{_NOT_FOR_CLIENTS}"'
_SLOWEST_S = 0.15
"""The console's objective: 95 of 100 requests take less. Source: docs/console.md."""


def _console() -> list[object]:
    """Return the panels of the console's own budget; the parts of pages count as pages do."""
    whole = f"sum(rate({_DURATION}_count{{{_OF_CONSOLE}}}[1h]))"
    fast = f'sum(rate({_DURATION}_bucket{{{_OF_CONSOLE},le="{_SLOWEST_S}"}}[1h]))'
    by_page = f"sum by (le, http_route) (rate({_DURATION}_bucket{{{_OF_CONSOLE}}}[{RATE}]))"
    return [
        number(
            PanelText(
                "Within 150 ms, 1 h",
                "Share of the console's requests. Objective: 95 %.",
                units.PercentUnit,
            ),
            f"{fast} / {whole} or vector(1)",
        ),
        number(
            PanelText(
                "Budget in use, 1 h",
                "Slower requests, of the 5 % that may be: over 100 %, the objective is missed.",
                units.PercentUnit,
            ),
            f"(1 - {fast} / {whole}) / 0.05 or vector(0)",
        ),
        graph(
            PanelText(
                "The console's pages",
                "p95 of the slowest 15 routes; objective: 150 ms.",
                units.Seconds,
            ),
            Query(
                f"topk(15, histogram_quantile(0.95, {by_page})) or vector(0)",
                "{{http_route}}",
                exemplars=True,
            ),
            Query(f"vector({_SLOWEST_S})", "objective"),
            span=16,
        ),
    ]


def _streams() -> list[object]:
    return [
        graph(
            PanelText("Open streams", "Payments that clients follow, by service.", units.Short),
            Query("sum by (service_name) (push_streams_open) or vector(0)", "{{service_name}}"),
        ),
        graph(
            PanelText(
                "Streams ended by the service",
                "A second; slow: the client did not read; gap: records were missed.",
                units.Short,
            ),
            Query(
                f"sum by (reason) (rate(push_streams_closed_total[{RATE}])) or vector(0)",
                "{{reason}}",
            ),
        ),
    ]


def _spans() -> list[object]:
    return [
        graph(
            PanelText("Slowest steps", "p95 of spans, before sampling.", units.Seconds),
            Query(
                "topk(10, histogram_quantile(0.95, sum by (le, service_name, span_name)"
                f" (rate(traces_span_metrics_duration_seconds_bucket[{RATE}]))))",
                "{{service_name}} {{span_name}}",
                exemplars=True,
            ),
        ),
        graph(
            PanelText(
                "Calls between services",
                "The most frequent calls a second, Kafka included.",
                units.Short,
            ),
            Query(
                "topk(15, sum by (client, server)"
                ' (rate(traces_service_graph_request_total{server!="unknown"}[5m])))',
                "{{client}} → {{server}}",
            ),
        ),
    ]


def _use() -> list[object]:
    return [
        graph(
            PanelText("CPU", "Cores in use, by process.", units.Short),
            Query(
                'sum by (service_name) (rate(process_cpu_seconds_total{job="services"}'
                f"[{RATE}]))",
                "{{service_name}}",
            ),
        ),
        graph(
            PanelText("Memory", "Resident, by process.", units.BytesIEC),
            Query(
                'sum by (service_name) (process_resident_memory_bytes{job="services"})',
                "{{service_name}}",
            ),
        ),
        graph(
            PanelText("Database connections", "Open connections of PostgreSQL.", units.Short),
            Query("sum(postgresql_backends)", "connections"),
        ),
        graph(
            PanelText("Redis memory", "In use.", units.BytesIEC),
            Query("max(redis_memory_used_bytes)", "used"),
        ),
    ]


def _collector() -> list[object]:
    return [
        graph(
            PanelText("Received", "Spans, points and lines a second.", units.Short),
            *(
                Query(
                    f"sum(rate(otelcol_receiver_accepted_{what}{COLLECTOR}[{RATE}])) or vector(0)",
                    what.replace("_", " "),
                )
                for what in SIGNALS
            ),
        ),
        graph(
            PanelText("Lost", "Items that an exporter has lost, a second.", units.Short),
            Query(f"sum by (exporter) ({lost(RATE)}) or vector(0)", "{{exporter}}"),
        ),
    ]
