"""Settlement and partners: how money moves on, and whom we can reach."""

from grafana_foundation_sdk.builders import dashboard as builder
from grafana_foundation_sdk.models import units

from observability.dashboards.panels import RATE, Query, Told, dashboard, graph, quantiles


def settlement() -> builder.Dashboard:
    """From a confirmed payment to the partner's books."""
    return dashboard(
        "Settlement and partners",
        "settlement",
        [
            ("Settlement", _settlement()),
            ("Partners' statements", _statements()),
            ("Those we ask and tell", _dependencies()),
        ],
    )


def _settlement() -> list[object]:
    return [
        graph(
            Told("Confirmed to settled", "Time on the way; dots open traces.", units.Seconds),
            *quantiles("payment_settlement_duration_seconds"),
        ),
        graph(
            Told("Confirmed and settled", "Payments a minute.", units.Short),
            Query(
                f'sum(rate(payment_confirm_total{{status="success"}}[{RATE}])) * 60', "confirmed"
            ),
            Query(
                f"sum by (status) (rate(settlement_total[{RATE}])) * 60",
                "{{status}}",
            ),
        ),
        graph(
            Told("Outcome by partner", "Steps of settlements a minute.", units.Short),
            Query(
                f"sum by (partner, status) (rate(settlement_total[{RATE}])) * 60",
                "{{partner}} {{status}}",
            ),
        ),
        graph(
            Told("Queue", "Messages of settlement-queue that wait.", units.Short),
            Query('sum(kafka:consumer_lag:sum{topic="settlement-queue"})', "waiting"),
        ),
        graph(
            Told(
                "Answers that contradict",
                "Definite answers that do not fit the outcome; always zero.",
                units.Short,
            ),
            Query("sum(increase(late_answers_total[1h])) or vector(0)", "in the last hour"),
        ),
        graph(
            Told("Parked work", "Due rows set aside for a person.", units.Short),
            Query("sum(increase(work_parked_total[1h])) or vector(0)", "in an hour"),
            Query("max(work_parked_rows)", "there now"),
        ),
    ]


def _statements() -> list[object]:
    return [
        graph(
            Told("Unresolved cases", "Breaks with partners' statements, by kind.", units.Short),
            Query("max by (kind) (reconciliation_cases) or vector(0)", "{{kind}}"),
        ),
        graph(
            Told("Statements", "Read by result, in a day.", units.Short),
            Query(
                "sum by (partner, result) (increase(reconciliation_total[1d])) or vector(0)",
                "{{partner}} {{result}}",
            ),
        ),
    ]


def _dependencies() -> list[object]:
    return [
        graph(
            Told("Breakers", "0 closed, 1 tries again, 2 open.", units.Short),
            Query(
                "max by (service_name, dependency) (dependency:breaker_state)",
                "{{service_name}} → {{dependency}}",
            ),
        ),
        graph(
            Told("Messages to customers", "By channel and result, a minute.", units.Short),
            Query(
                f"sum by (channel, result) (rate(notification_total[{RATE}])) * 60",
                "{{channel}} {{result}}",
            ),
        ),
    ]
