"""The alerts: a page needs action at once, a ticket can wait until the next working day.

Every alert has a runbook of its name under docs/runbooks. Prometheus evaluates the alerts; Grafana
evaluates the same expressions to send notifications.
"""

from observability.alert import Alert
from observability.audit_alerts import audit_alerts
from observability.charge_alerts import charge_alerts
from observability.fraud_alerts import fraud_alerts
from observability.identity_alerts import identity_alerts
from observability.insight_alerts import insight_alerts
from observability.kafka_alerts import kafka_alerts
from observability.objectives import AVAILABILITY, FAST, LATENCY, SLOW, burning
from observability.partner_alerts import partner_alerts
from observability.screening_alerts import screening_alerts
from observability.timing import Timing
from observability.webhook_alerts import webhook_alerts

SIGNALS = ("spans", "metric_points", "log_records")
COLLECTOR = '{job="otel-collector"}'


def alerts(timing: Timing) -> list[Alert]:
    """Return all alerts, those of the objectives first."""
    return [
        *_objectives(timing),
        *_payments(timing),
        *_settlement(timing),
        *_banks(timing),
        *partner_alerts(timing),
        *webhook_alerts(timing),
        *charge_alerts(timing),
        *kafka_alerts(timing),
        *identity_alerts(timing),
        *audit_alerts(timing),
        *screening_alerts(timing),
        *insight_alerts(timing),
        *fraud_alerts(timing),
        *_processes(timing),
        *_telemetry(timing),
    ]


def _objectives(timing: Timing) -> list[Alert]:
    hold, later = timing.hold("2m"), timing.hold("15m")
    return [
        Alert(
            "ConfirmErrorBudgetBurnFast",
            burning(AVAILABILITY, FAST),
            hold,
            "page",
            "POST /payment/confirm burns its error budget of 30 days fast",
        ),
        Alert(
            "ConfirmErrorBudgetBurnSlow",
            burning(AVAILABILITY, SLOW),
            later,
            "ticket",
            "POST /payment/confirm burns its error budget of 30 days",
        ),
        Alert(
            "ConfirmLatencyBudgetBurnFast",
            burning(LATENCY, FAST),
            hold,
            "page",
            "far too many confirmations take over a second",
        ),
        Alert(
            "ConfirmLatencyBudgetBurnSlow",
            burning(LATENCY, SLOW),
            later,
            "ticket",
            "too many confirmations take over a second",
        ),
    ]


def _payments(timing: Timing) -> list[Alert]:
    short, long = timing.window("5m"), timing.window("15m")
    return [
        Alert(
            "PaymentsFailing",
            f'sum(increase(payment_confirm_total{{status="failed"}}[{short}])) > 5',
            timing.hold("1m"),
            "page",
            "{{ $value | humanize }} payments timed out or failed in 5 minutes",
        ),
        Alert(
            "CodesFailing",
            f"payments:otp_failure_ratio:rate5m > 0.5"
            f" and on () sum(increase(otp_validation_total[{short}])) > 10",
            timing.hold("5m"),
            "ticket",
            "{{ $value | humanizePercentage }} of the one-time codes are refused",
        ),
        Alert(
            "InvariantViolated",
            "max by (kind) (invariant_violations) > 0",
            "0s",
            "page",
            "invariant {{ $labels.kind }} is violated {{ $value }} times",
        ),
        Alert(
            "CheckBlind",
            "max(check_unanswered) > 0",
            timing.hold("15m"),
            "ticket",
            "{{ $value }} queries of the check have had no response for 15 minutes",
        ),
        Alert(
            "PaymentsUnfinished",
            "max(payments_unfinished) > 0",
            timing.hold("5m"),
            "page",
            "{{ $value }} payments have exceeded their time limit without an end",
        ),
        Alert(
            "WorkParked",
            f"sum by (service_name, table) (increase(work_parked_total[{long}])) > 0",
            "0s",
            "ticket",
            "{{ $labels.service_name }} parked rows of {{ $labels.table }}",
        ),
    ]


def _done_by_settlement(window: str) -> str:
    """Return PromQL of the payments whose next step is not settlement's.

    They have ended, or a bank on Kafka has their instruction and owes the report, or they wait for
    the end of a suspension. Each bank on Kafka has alerts of its own.
    """
    on_kafka = f"on (partner) max by (partner) (max_over_time(settlement_unanswered[{window}]))"
    steps = 'sum by (partner) (increase(settlement_total{{status=~"{}"}}[{}]))'.format
    queued = f"max by (partner) (delta(settlement_queued[{window}]))"
    counts = (
        f"{steps('SETTLED|REJECTED', window)} unless {on_kafka}",
        f"{steps('SENT', window)} and {on_kafka}",
        f"clamp_min({queued}, 0)",
    )
    return "(" + "\n+ ".join(f"(sum({one}) or vector(0))" for one in counts) + ")"


def _settlement(timing: Timing) -> list[Alert]:
    window = timing.window("10m")
    confirmed = f'sum(increase(payment_confirm_total{{status="success"}}[{window}]))'
    done = _done_by_settlement(window)
    return [
        Alert(
            "SettlementBacklog",
            f"{confirmed}\n- {done} > 20\nand on () {done}\n< 0.5 * {confirmed}",
            timing.hold("2m"),
            "page",
            "{{ $value | humanize }} more payments were confirmed than settled in 10 minutes",
        ),
        Alert(
            "DependencyBreakerOpen",
            "max by (service_name, dependency)"
            f" (max_over_time(dependency:breaker_state[{timing.window('2m')}])) == 2",
            timing.hold("1m"),
            "page",
            "{{ $labels.service_name }} has stopped calling {{ $labels.dependency }}",
        ),
        Alert(
            "SettlementContradicted",
            f"sum by (partner) (increase(late_answers_total[{timing.window('15m')}])) > 0",
            "0s",
            "page",
            "{{ $labels.partner }} sent a response that contradicts an outcome",
        ),
        Alert(
            "ReconciliationBroken",
            "max by (kind) (reconciliation_cases) > 0",
            "0s",
            "ticket",
            "{{ $value | humanize }} unresolved cases with partners: {{ $labels.kind }}",
        ),
    ]


def _banks(timing: Timing) -> list[Alert]:
    return [
        Alert(
            "BankRefusesUs",
            "sum by (partner, status) (increase(bank_refusals_total"
            f'{{status=~"401|403|404|405"}}[{timing.window("5m")}])) > 0',
            timing.hold("2m"),
            "page",
            "{{ $labels.partner }} refuses all requests: status {{ $labels.status }}",
        ),
        Alert(
            "StatementUnread",
            "sum by (partner) (increase(reconciliation_total"
            f'{{result="unread"}}[{timing.window("3h")}])) > 0'
            " unless sum by (partner) (increase(reconciliation_total"
            f'{{result=~"matched|broken"}}[{timing.window("3h")}])) > 0',
            "0s",
            "ticket",
            "no statement of {{ $labels.partner }} was read for three hours",
        ),
    ]


def _processes(timing: Timing) -> list[Alert]:
    return [
        Alert(
            "ServiceDown",
            'max by (service_name) (up{job="services"}) == 0',
            timing.hold("1m"),
            "page",
            "no instance of {{ $labels.service_name }} responds",
        ),
        Alert(
            "InstanceDown",
            'up{job="services"} == 0',
            timing.hold("3m"),
            "ticket",
            "{{ $labels.service_name }} at {{ $labels.instance }} does not respond",
        ),
        Alert(
            "JobFailing",
            "sum by (service_name, name)"
            f' (increase(job_runs_total{{result="failed"}}[{timing.window("15m")}])) > 0',
            "0s",
            "ticket",
            "a run of the job {{ $labels.name }} of {{ $labels.service_name }} has failed",
        ),
        Alert(
            "RateLimiterWithoutRedis",
            f"sum(increase(rate_limit_local_total[{timing.window('5m')}])) > 0",
            timing.hold("1m"),
            "ticket",
            "each gateway counts requests separately: Redis is down",
        ),
    ]


def lost(window: str) -> str:
    """Return PromQL of the collector's lost items a second, by exporter and cause."""
    causes = [(step, signal) for step in ("send", "enqueue") for signal in SIGNALS]
    rates = [
        f"label_replace(rate(otelcol_exporter_{step}_failed_{signal}{COLLECTOR}[{window}]),"
        f' "cause", "{step} {signal}", "", "")'
        for step, signal in causes
    ]
    return "\nor ".join(rates)


def _telemetry(timing: Timing) -> list[Alert]:
    return [
        Alert(
            "CollectorDown",
            'up{job="otel-collector"} == 0',
            timing.hold("1m"),
            "page",
            "the collector does not respond: most other alerts cannot fire",
        ),
        Alert(
            "CollectorDropping",
            f"sum by (exporter) ({lost(timing.window('5m'))}) > 0",
            timing.hold("2m"),
            "ticket",
            "the collector loses items for {{ $labels.exporter }}",
        ),
        Alert(
            "MetricsMissing",
            "absent(payment_confirm_total) or absent(kafka_consumer_group_lag)"
            " or absent(invariant_violations)",
            timing.hold("10m"),
            "ticket",
            "metrics that alerts use are missing",
        ),
    ]
