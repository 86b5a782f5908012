"""Settlement and partners: progress of transfers, and dependencies."""

from grafana_foundation_sdk.builders import dashboard as builder
from grafana_foundation_sdk.models import units

from observability.dashboards.panels import RATE, PanelText, Query, dashboard, graph, quantiles


def settlement() -> builder.Dashboard:
    """Return the dashboard from the confirmed payment to the partner's booking."""
    return dashboard(
        "Settlement and partners",
        "settlement",
        [
            ("Settlement", _settlement()),
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
            PanelText("Breakers", "0 closed, 1 half-open, 2 open.", units.Short),
            Query(
                "max by (service_name, dependency) (dependency:breaker_state)",
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
