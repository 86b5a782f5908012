"""Payments: confirmations, latency and refusals."""

from grafana_foundation_sdk.builders import dashboard as builder
from grafana_foundation_sdk.models import units

from local_stack.inventory import load_inventory
from observability.dashboards.panels import (
    RATE,
    PanelText,
    Query,
    dashboard,
    graph,
    lines,
    number,
    quantiles,
)

_SERVICES = "|".join(one.name for one in load_inventory().ours)
_REQUESTS = "http_server_request_duration_seconds_count"
_CONFIRM = 'service_name="gateway",http_route="/payment/confirm"'


def payments() -> builder.Dashboard:
    """Return the first dashboard for the person on call."""
    return dashboard(
        "Payments: from request to response",
        "payment-confirm",
        [
            ("At a glance", _glance()),
            ("Service level", [*_service_level(), *_answers()]),
            ("Invariants", _invariants()),
            ("Logs", [_errors()]),
        ],
    )


def _glance() -> list[object]:
    return [
        graph(
            PanelText("Transactions a minute", "Decided requests, by outcome.", units.Short),
            Query(f"sum by (status) (rate(payment_confirm_total[{RATE}])) * 60", "{{status}}"),
            stacked=True,
        ),
        graph(
            PanelText("OTP success and failure", "One-time codes verified, a minute.", units.Short),
            Query(f"sum by (result) (rate(otp_validation_total[{RATE}])) * 60", "{{result}}"),
            stacked=True,
        ),
        graph(
            PanelText("Risk distribution", "Payments scored a minute, by risk level.", units.Short),
            Query(f"sum by (level) (rate(risk_assessment_total[{RATE}])) * 60", "{{level}}"),
            stacked=True,
        ),
        graph(
            PanelText("Kafka lag", "Waiting messages, counted by the broker.", units.Short),
            Query("sum by (group) (kafka:consumer_lag:sum)", "{{group}}"),
        ),
        graph(
            PanelText("HTTP errors", "Share of 5xx responses.", units.PercentUnit),
            Query(_share_of("5.."), "{{service_name}}"),
            span=4,
        ),
        graph(
            PanelText("HTTP refusals", "Share of 4xx responses.", units.PercentUnit),
            Query(_share_of("4.."), "{{service_name}}"),
            span=4,
        ),
    ]


def _share_of(status: str) -> str:
    services = f'service_name=~"{_SERVICES}"'
    some = f'rate({_REQUESTS}{{{services},http_response_status_code=~"{status}"}}[{RATE}])'
    whole = f"sum by (service_name) (rate({_REQUESTS}{{{services}}}[{RATE}]))"
    return f"(sum by (service_name) ({some}) or 0 * {whole}) / {whole}"


def _service_level() -> list[object]:
    rate = "slo:{}:ratio_rate{}"
    return [
        number(
            PanelText(
                "Availability, 1 h",
                "Share of confirmations without a 5xx. Objective: 99.9 %.",
                units.PercentUnit,
            ),
            f"1 - {rate.format('confirm_errors', '1h')}",
        ),
        number(
            PanelText("Error budget burn, 1 h", "14.4 is a page.", units.Short),
            f"{rate.format('confirm_errors', '1h')} / 0.001",
        ),
        number(
            PanelText(
                "Within a second, 1 h",
                "Share of confirmations within 1 s. Objective: 99 %.",
                units.PercentUnit,
            ),
            f"1 - {rate.format('confirm_slow', '1h')}",
        ),
        number(
            PanelText("Latency budget burn, 1 h", "14.4 is a page.", units.Short),
            f"{rate.format('confirm_slow', '1h')} / 0.01",
        ),
        number(
            PanelText("p99, 5 min", "POST /payment/confirm, at the gateway.", units.Seconds),
            "payments:confirm_duration:p99_rate5m",
        ),
        number(
            PanelText("Firing alerts", "Each alert links to its runbook.", units.Short),
            'count(ALERTS{alertstate="firing"}) or vector(0)',
        ),
    ]


def _answers() -> list[object]:
    return [
        graph(
            PanelText(
                "Time to an answer",
                "POST /payment/confirm at the gateway; dots open traces.",
                units.Seconds,
            ),
            *quantiles("payment_confirm_duration_seconds"),
        ),
        graph(
            PanelText(
                "Answers by status", "POST /payment/confirm, a second.", units.RequestsPerSecond
            ),
            Query(
                f"sum by (http_response_status_code) (rate({_REQUESTS}{{{_CONFIRM}}}[{RATE}]))",
                "{{http_response_status_code}}",
            ),
            stacked=True,
        ),
        graph(
            PanelText("Outcome by risk level", "Decided requests, a minute.", units.Short),
            Query(
                f"sum by (risk, status) (rate(payment_confirm_total[{RATE}])) * 60",
                "{{risk}} {{status}}",
            ),
            span=24,
        ),
    ]


def _invariants() -> list[object]:
    return [
        graph(
            PanelText(
                "Invariants violated",
                "Found by the continuous check, and its queries without a response; always zero.",
                units.Short,
            ),
            Query("max by (kind) (invariant_violations)", "{{kind}}"),
            Query("max(check_unanswered)", "no response"),
            span=8,
        ),
        graph(
            PanelText("Payments without an end", "Over their time limit.", units.Short),
            Query("max(payments_unfinished)", "payments"),
            span=8,
        ),
        graph(
            PanelText("Dead letters", "In total, the 15 topics with most.", units.Short),
            Query(
                'topk(15, sum by (topic) (kafka_partition_current_offset{topic=~".+-dlq"}))',
                "{{topic}}",
            ),
            span=8,
        ),
    ]


def _errors() -> object:
    text = PanelText("Errors", "An opened line has the link to its trace.", units.Short)
    return lines(text, '| severity_text=~"WARN.*|ERROR|CRITICAL"')
