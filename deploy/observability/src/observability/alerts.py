"""The alerts: what wakes somebody (page), and what somebody looks at in the morning (ticket).

Every alert has a runbook of its name under docs/runbooks. Prometheus evaluates them; Grafana is
given the same expressions, so that it can notify.
"""

from dataclasses import dataclass
from typing import Literal

from local_stack.inventory import load_inventory
from observability.objectives import AVAILABILITY, FAST, LATENCY, SLOW, burning
from observability.timing import Timing

RUNBOOKS = f"http://localhost:{load_inventory().service('ops').port}/runbooks"
"""Whoever moves ops behind another address writes it here and generates the rules."""
SIGNALS = ("spans", "metric_points", "log_records")
COLLECTOR = '{job="otel-collector"}'


@dataclass(frozen=True, slots=True)
class Alert:
    """A condition (PromQL), how long it must hold, and what is told about it."""

    name: str
    expr: str
    hold: str
    severity: Literal["page", "ticket"]
    summary: str

    @property
    def runbook(self) -> str:
        """The file that says what to do."""
        return f"docs/runbooks/{self.name}.md"

    @property
    def runbook_url(self) -> str:
        """Where it is read: ops serves them."""
        return f"{RUNBOOKS}/{self.name}"


def alerts(timing: Timing) -> list[Alert]:
    """Every alert, the objectives' first."""
    return [
        *_objectives(timing),
        *_payments(timing),
        *_settlement(timing),
        *_banks(timing),
        *_kafka(timing),
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
            "{{ $value | humanize }} payments timed out or could not be decided in 5 minutes",
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
            "{{ $value }} questions of the check have had no answer for a quarter of an hour",
        ),
        Alert(
            "PaymentsUnfinished",
            "max(payments_unfinished) > 0",
            timing.hold("5m"),
            "page",
            "{{ $value }} payments are older than they may be without an end",
        ),
        Alert(
            "WorkParked",
            f"sum by (service_name, table) (increase(work_parked_total[{long}])) > 0",
            "0s",
            "ticket",
            "{{ $labels.service_name }} set rows of {{ $labels.table }} aside for a person",
        ),
    ]


def _settlement(timing: Timing) -> list[Alert]:
    window = timing.window("10m")
    confirmed = f'sum(increase(payment_confirm_total{{status="success"}}[{window}]))'
    ended = (
        f'(sum(increase(settlement_total{{status=~"SETTLED|REJECTED"}}[{window}])) or vector(0))'
    )
    return [
        Alert(
            "SettlementBacklog",
            f"{confirmed} - {ended} > 20\nand on () {ended} < 0.5 * {confirmed}",
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
            "{{ $labels.service_name }} has stopped asking {{ $labels.dependency }}",
        ),
        Alert(
            "SettlementContradicted",
            f"sum by (partner) (increase(late_answers_total[{timing.window('15m')}])) > 0",
            "0s",
            "page",
            "{{ $labels.partner }} gave an answer that contradicts an outcome",
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
            "{{ $labels.partner }} takes nothing from us: status {{ $labels.status }}",
        ),
        Alert(
            "StatementUnread",
            "sum by (partner) (increase(reconciliation_total"
            f'{{result="unread"}}[{timing.window("3h")}])) > 0'
            " unless sum by (partner) (increase(reconciliation_total"
            f'{{result=~"matched|broken"}}[{timing.window("3h")}])) > 0',
            "0s",
            "ticket",
            "no statement of {{ $labels.partner }} could be read for three hours",
        ),
    ]


def _kafka(timing: Timing) -> list[Alert]:
    window = timing.window("10m")
    return [
        Alert(
            "KafkaConsumerLag",
            "kafka:consumer_lag:sum > 1000 and kafka:consumer_drain_seconds > 60",
            timing.hold("2m"),
            "page",
            "{{ $labels.group }} is {{ $value }} messages behind on {{ $labels.topic }}",
        ),
        Alert(
            "KafkaConsumerGroupEmpty",
            "sum by (group) (kafka_consumer_group_members) == 0"
            " and on (group) sum by (group) (kafka:consumer_lag:sum) > 0",
            timing.hold("1m"),
            "page",
            "nobody reads for {{ $labels.group }}, and messages wait",
        ),
        Alert(
            "DeadLetters",
            "sum by (topic) (increase(kafka_partition_current_offset"
            f'{{topic=~".+-dlq"}}[{window}])) > 0',
            "0s",
            "ticket",
            "messages were set aside in {{ $labels.topic }}",
        ),
        Alert(
            "DeadLetterRate",
            f"{_dead(timing)} > 20 unless on (service_name) 100 * {_dead(timing)}"
            " < sum by (service_name)"
            f" (increase(consumer_batch_size_sum[{timing.window('5m')}]))",
            "0s",
            "page",
            "{{ $labels.service_name }} refuses more than one record in a hundred",
        ),
        Alert(
            "OutboxBacklog",
            f"max by (service_name) (min_over_time(outbox_pending[{timing.window('1m')}])) > 500",
            timing.hold("1m"),
            "page",
            "{{ $labels.service_name }} holds {{ $value }} events that it cannot publish",
        ),
        Alert(
            "OutboxRowStuck",
            f"max by (service_name) (min_over_time(outbox_pending[{window}])) > 0"
            f" unless on (service_name) sum by (service_name)"
            f" (increase(consumer_batch_size_sum[{window}])) > 100",
            timing.hold("5m"),
            "ticket",
            "{{ $labels.service_name }} is quiet, and {{ $value }} events stay unpublished",
        ),
        Alert(
            "BrokerRefuses",
            f"sum by (service_name) (increase(producer_renewed_total[{window}])) > 2",
            "0s",
            "ticket",
            "Kafka has refused what {{ $labels.service_name }} sends {{ $value | humanize }} times",
        ),
    ]


def _dead(timing: Timing) -> str:
    return f"sum by (service_name) (increase(dead_letter_total[{timing.window('5m')}]))"


def _processes(timing: Timing) -> list[Alert]:
    return [
        Alert(
            "ServiceDown",
            'max by (service_name) (up{job="services"}) == 0',
            timing.hold("1m"),
            "page",
            "no instance of {{ $labels.service_name }} answers",
        ),
        Alert(
            "InstanceDown",
            'up{job="services"} == 0',
            timing.hold("3m"),
            "ticket",
            "{{ $labels.service_name }} at {{ $labels.instance }} does not answer",
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
            "gateways count requests each for itself: Redis is away",
        ),
    ]


def lost(window: str) -> str:
    """PromQL of what the collector's exporters gave up, a second, by exporter and cause."""
    causes = [(act, what) for act in ("send", "enqueue") for what in SIGNALS]
    rates = [
        f"label_replace(rate(otelcol_exporter_{act}_failed_{what}{COLLECTOR}[{window}]),"
        f' "cause", "{act} {what}", "", "")'
        for act, what in causes
    ]
    return "\nor ".join(rates)


def _telemetry(timing: Timing) -> list[Alert]:
    return [
        Alert(
            "CollectorDown",
            'up{job="otel-collector"} == 0',
            timing.hold("1m"),
            "page",
            "the collector does not answer: most other alerts are blind",
        ),
        Alert(
            "CollectorDropping",
            f"sum by (exporter) ({lost(timing.window('5m'))}) > 0",
            timing.hold("2m"),
            "ticket",
            "the collector loses what it should hand to {{ $labels.exporter }}",
        ),
        Alert(
            "MetricsMissing",
            "absent(payment_confirm_total) or absent(kafka_consumer_group_lag)"
            " or absent(invariant_violations)",
            timing.hold("10m"),
            "ticket",
            "metrics that alerts rest on have not been seen",
        ),
    ]
