"""Settlement and partners: progress of transfers, and dependencies."""

from grafana_foundation_sdk.builders import dashboard as builder
from grafana_foundation_sdk.models import units

from observability.dashboards.panels import RATE, PanelText, Query, dashboard, graph, quantiles

NONE = " or vector(0)"
"""A system without partner banks on Kafka shows 0."""


def settlement() -> builder.Dashboard:
    """Return the dashboard from the confirmed payment to the partner's booking."""
    return dashboard(
        "Settlement and partners",
        "settlement",
        [
            ("Settlement", _settlement()),
            ("Partner banks on Kafka", _on_kafka()),
            ("Partners' statements", _statements()),
            ("Dependencies", _dependencies()),
        ],
    )


def _settlement() -> list[object]:
    return [
        graph(
            PanelText("Confirmed to settled", "Duration; dots open traces.", units.Seconds),
            *quantiles("payment_settlement_duration_seconds"),
        ),
        graph(
            PanelText("Confirmed and settled", "Payments a minute.", units.Short),
            Query(
                f'sum(rate(payment_confirm_total{{status="success"}}[{RATE}])) * 60', "confirmed"
            ),
            Query(
                f"sum by (status) (rate(settlement_total[{RATE}])) * 60",
                "{{status}}",
            ),
        ),
        graph(
            PanelText("Outcome by partner", "Steps of settlements a minute.", units.Short),
            Query(
                f"sum by (partner, status) (rate(settlement_total[{RATE}])) * 60",
                "{{partner}} {{status}}",
            ),
        ),
        graph(
            PanelText("Queue", "Waiting messages of settlement-queue.", units.Short),
            Query('sum(kafka:consumer_lag:sum{topic="settlement-queue"})', "waiting"),
        ),
        graph(
            PanelText(
                "Answers that contradict",
                "Definite responses that contradict the outcome; always zero.",
                units.Short,
            ),
            Query("sum(increase(late_answers_total[1h])) or vector(0)", "in the last hour"),
        ),
        graph(
            PanelText("Parked work", "Rows that wait for a person.", units.Short),
            Query("sum(increase(work_parked_total[1h])) or vector(0)", "in an hour"),
            Query("max(work_parked_rows)", "now"),
        ),
    ]


def _on_kafka() -> list[object]:
    return [
        graph(
            PanelText("Late reports", "Instructions that are late, by partner.", units.Short),
            Query(f"max by (partner) (settlement_unanswered){NONE}", "{{partner}}"),
        ),
        graph(
            PanelText(
                "Oldest without a report", "Age of the oldest instruction sent.", units.Seconds
            ),
            Query(f"max by (partner) (settlement_unanswered_age){NONE}", "{{partner}}"),
        ),
        graph(
            PanelText(
                "Refused reports", "By topic and reason, in an hour; always zero.", units.Short
            ),
            Query(
                "sum by (topic, reason) (increase(dead_letter_total"
                '{topic=~"settlement.reports..+"}[1h])) or vector(0)',
                "{{topic}} {{reason}}",
            ),
        ),
        graph(
            PanelText(
                "Unread", "Instructions that banks, and reports that we, have to read.", units.Short
            ),
            Query(
                'sum by (group, topic) (kafka:consumer_lag:sum{topic=~"settlement.(instructions'
                '|reports)..+"})' + NONE,
                "{{group}} {{topic}}",
            ),
        ),
        graph(
            PanelText("Held back", "Instructions of suspended partners.", units.Short),
            Query(f"max by (partner) (settlement_queued){NONE}", "{{partner}}"),
        ),
        graph(
            PanelText(
                "Age of the last statement",
                "Since the end of its day; 30 h are normal.",
                units.Seconds,
            ),
            Query(f"max by (partner) (settlement_statement_age){NONE}", "{{partner}}"),
        ),
    ]


def _statements() -> list[object]:
    return [
        graph(
            PanelText(
                "Unresolved cases", "Breaks with partners' statements, by kind.", units.Short
            ),
            Query("max by (kind) (reconciliation_cases) or vector(0)", "{{kind}}"),
        ),
        graph(
            PanelText("Statements", "Read by result, in a day.", units.Short),
            Query(
                "sum by (partner, result) (increase(reconciliation_total[1d])) or vector(0)",
                "{{partner}} {{result}}",
            ),
        ),
    ]


def _dependencies() -> list[object]:
    return [
        graph(
            PanelText("Breakers", "0 closed, 1 half-open, 2 open; the 20 highest.", units.Short),
            Query(
                "topk(20, max by (service_name, dependency) (dependency:breaker_state))",
                "{{service_name}} → {{dependency}}",
            ),
        ),
        graph(
            PanelText("Messages to customers", "By channel and result, a minute.", units.Short),
            Query(
                f"sum by (channel, result) (rate(notification_total[{RATE}])) * 60",
                "{{channel}} {{result}}",
            ),
        ),
    ]
