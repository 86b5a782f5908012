"""The alerts on topics: consumers, dead letters, and what cannot be published."""

from observability.alert import Alert
from observability.timing import Timing


def kafka_alerts(timing: Timing) -> list[Alert]:
    """Return the alerts of consumers, then those of producers."""
    return [*_consumers(timing), *_producers(timing)]


def _consumers(timing: Timing) -> list[Alert]:
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
            "{{ $labels.group }} has no members, and messages wait",
        ),
        Alert(
            "DeadLetters",
            "sum by (topic) (increase(kafka_partition_current_offset"
            f'{{topic=~".+-dlq"}}[{window}])) > 0',
            "0s",
            "ticket",
            "new dead letters in {{ $labels.topic }}",
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
            "UnauthenticatedRecord",
            " or ".join(
                _unauthenticated(metric, window)
                for metric in ("dead_letter_total", "record_skipped_total")
            ),
            "0s",
            "page",
            "{{ $labels.service_name }} refused records of {{ $labels.topic }} without a valid MAC",
        ),
    ]


def _unauthenticated(metric: str, window: str) -> str:
    """Return where a counter has grown or is new: it does not exist before its first record."""
    each, counted = "sum by (service_name, topic)", f'{metric}{{reason="unauthenticated"}}'
    grown = f"{each} (increase({counted}[{window}])) > 0"
    return f"{grown} or ({each} ({counted}) unless {each} ({counted} offset {window}))"


def _producers(timing: Timing) -> list[Alert]:
    window = timing.window("10m")
    return [
        Alert(
            "OutboxBacklog",
            f"max by (service_name) (min_over_time(outbox_pending[{timing.window('1m')}])) > 500",
            timing.hold("1m"),
            "page",
            "{{ $labels.service_name }} has {{ $value }} events that it cannot publish",
        ),
        Alert(
            "OutboxRowStuck",
            f"max by (service_name) (min_over_time(outbox_pending[{window}])) > 0"
            f" unless on (service_name) sum by (service_name)"
            f" (increase(consumer_batch_size_sum[{window}])) > 100",
            timing.hold("5m"),
            "ticket",
            "{{ $labels.service_name }} is almost idle, but {{ $value }} events stay unpublished",
        ),
        Alert(
            "BrokerRefuses",
            f"sum by (service_name) (increase(producer_renewed_total[{window}])) > 2",
            "0s",
            "ticket",
            "Kafka has refused records of {{ $labels.service_name }} {{ $value | humanize }} times",
        ),
    ]


def _dead(timing: Timing) -> str:
    return f"sum by (service_name) (increase(dead_letter_total[{timing.window('5m')}]))"
