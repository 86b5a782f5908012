"""Payments: are they confirmed, how fast, and what is refused."""

from grafana_foundation_sdk.builders import dashboard as builder
from grafana_foundation_sdk.models import units

from local_stack.inventory import load_inventory
from observability.dashboards.panels import (
    RATE,
    Query,
    Told,
    dashboard,
    graph,
    lines,
    number,
    quantiles,
)

_OURS = "|".join(one.name for one in load_inventory().ours)
_REQUESTS = "http_server_request_duration_seconds_count"
_CONFIRM = 'service_name="gateway",http_route="/payment/confirm"'


def payments() -> builder.Dashboard:
    """The first dashboard that somebody on call opens."""
    return dashboard(
        "Payments: from the request to the answer",
        "payment-confirm",
        [
            ("At a glance", _glance()),
            ("Service level", [*_service_level(), *_answers()]),
            ("What must never be", _invariants()),
            ("Logs", [_errors()]),
        ],
    )


def _glance() -> list[object]:
    return [
        graph(
            Told("Transactions a minute", "Answers decided, by outcome.", units.Short),
            Query(f"sum by (status) (rate(payment_confirm_total[{RATE}])) * 60", "{{status}}"),
            stacked=True,
        ),
        graph(
            Told("OTP success and failure", "One-time codes judged, a minute.", units.Short),
            Query(f"sum by (result) (rate(otp_validation_total[{RATE}])) * 60", "{{result}}"),
            stacked=True,
        ),
        graph(
            Told("Risk distribution", "Payments scored a minute, by risk level.", units.Short),
            Query(f"sum by (level) (rate(risk_assessment_total[{RATE}])) * 60", "{{level}}"),
            span=8,
            stacked=True,
        ),
        graph(
            Told("Kafka lag", "Messages that wait, as the broker counts them.", units.Short),
            Query("sum by (group) (kafka:consumer_lag:sum)", "{{group}}"),
            span=8,
        ),
        graph(
            Told("HTTP errors", "Share of requests answered 4xx and 5xx.", units.PercentUnit),
            *(Query(_share_of(f"{first}.."), f"{first}xx {{{{service_name}}}}") for first in "45"),
            span=8,
        ),
    ]


def _share_of(status: str) -> str:
    ours = f'service_name=~"{_OURS}"'
    some = f'rate({_REQUESTS}{{{ours},http_response_status_code=~"{status}"}}[{RATE}])'
    whole = f"sum by (service_name) (rate({_REQUESTS}{{{ours}}}[{RATE}]))"
    return f"(sum by (service_name) ({some}) or 0 * {whole}) / {whole}"


def _service_level() -> list[object]:
    rate = "slo:{}:ratio_rate{}"
    return [
        number(
            Told(
                "Availability, 1 h",
                "Share of confirmations not answered 5xx. Objective: 99.9 %.",
                units.PercentUnit,
            ),
            f"1 - {rate.format('confirm_errors', '1h')}",
        ),
        number(
            Told("Error budget burn, 1 h", "14.4 wakes somebody.", units.Short),
            f"{rate.format('confirm_errors', '1h')} / 0.001",
        ),
        number(
            Told(
                "Within a second, 1 h",
                "Share of confirmations answered within 1 s. Objective: 99 %.",
                units.PercentUnit,
            ),
            f"1 - {rate.format('confirm_slow', '1h')}",
        ),
        number(
            Told("Latency budget burn, 1 h", "14.4 wakes somebody.", units.Short),
            f"{rate.format('confirm_slow', '1h')} / 0.01",
        ),
        number(
            Told("p99, 5 min", "Of POST /payment/confirm, at the gateway.", units.Seconds),
            "payments:confirm_duration:p99_rate5m",
        ),
        number(
            Told("Alerts that fire", "See the list of alerts for what to do.", units.Short),
            'count(ALERTS{alertstate="firing"}) or vector(0)',
        ),
    ]


def _answers() -> list[object]:
    return [
        graph(
            Told(
                "Time to an answer",
                "POST /payment/confirm at the gateway; dots open traces.",
                units.Seconds,
            ),
            *quantiles("payment_confirm_duration_seconds"),
        ),
        graph(
            Told("Answers by status", "POST /payment/confirm, a second.", units.RequestsPerSecond),
            Query(
                f"sum by (http_response_status_code) (rate({_REQUESTS}{{{_CONFIRM}}}[{RATE}]))",
                "{{http_response_status_code}}",
            ),
            stacked=True,
        ),
        graph(
            Told("Outcome by risk level", "Answers decided, a minute.", units.Short),
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
            Told(
                "Invariants violated",
                "By the continuous check, and what it could not ask; always zero.",
                units.Short,
            ),
            Query("max by (kind) (invariant_violations)", "{{kind}}"),
            Query("max(check_unanswered)", "not asked"),
            span=8,
        ),
        graph(
            Told("Payments without an end", "Older than they may be.", units.Short),
            Query("max(payments_unfinished)", "payments"),
            span=8,
        ),
        graph(
            Told("Dead letters", "Messages set aside, in all.", units.Short),
            Query('sum by (topic) (kafka_partition_current_offset{topic=~".+-dlq"})', "{{topic}}"),
            span=8,
        ),
    ]


def _errors() -> object:
    told = Told("Errors", "A line that is opened leads to its trace.", units.Short)
    return lines(told, '| severity_text=~"WARN.*|ERROR|CRITICAL"')
