"""Kafka and the outbox: does every event arrive, and how soon."""

from grafana_foundation_sdk.builders import dashboard as builder
from grafana_foundation_sdk.models import units

from observability.dashboards.panels import RATE, Query, Told, dashboard, graph


def messaging() -> builder.Dashboard:
    """Topics, consumer groups, outboxes."""
    return dashboard(
        "Kafka and the outbox",
        "messaging",
        [("Consumers", _consumers()), ("Producers", _producers()), ("Broker", _broker())],
    )


def _consumers() -> list[object]:
    return [
        graph(
            Told("Lag", "Messages before the slowest group, by topic.", units.Short),
            Query("max by (topic) (kafka:consumer_lag:sum)", "{{topic}}"),
        ),
        graph(
            Told("Time to drain", "Lag over the rate at which the group reads.", units.Seconds),
            Query("max by (group) (kafka:consumer_drain_seconds)", "{{group}}"),
        ),
        graph(
            Told("Age when handled", "p95, oldest event of a batch, by service.", units.Seconds),
            Query(
                "histogram_quantile(0.95, sum by (le, service_name)"
                f" (rate(event_age_seconds_bucket[{RATE}])))",
                "{{service_name}}",
            ),
        ),
        graph(
            Told("Batch size", "Records handled together, on average.", units.Short),
            Query(
                f"sum by (service_name) (rate(consumer_batch_size_sum[{RATE}]))"
                f" / sum by (service_name) (rate(consumer_batch_size_count[{RATE}]))",
                "{{service_name}}",
            ),
        ),
        graph(
            Told("Read", "Messages a second, by group.", units.Short),
            Query(f"sum by (group) (rate(kafka_consumer_group_offset[{RATE}]))", "{{group}}"),
        ),
        graph(
            Told("Members", "Processes in each consumer group.", units.Short),
            Query("sum by (group) (kafka_consumer_group_members)", "{{group}}"),
        ),
    ]


def _producers() -> list[object]:
    return [
        graph(
            Told("Outbox", "Events that are committed and not yet published.", units.Short),
            Query("sum by (service_name) (outbox_pending)", "{{service_name}}"),
        ),
        graph(
            Told("Refused by the broker", "Producers made anew in an hour, by error.", units.Short),
            Query(
                "sum by (service_name, error_class) (increase(producer_renewed_total[1h]))"
                " or vector(0)",
                "{{service_name}} {{error_class}}",
            ),
        ),
        graph(
            Told("Set aside", "Dead letters an hour, by topic.", units.Short),
            Query(
                'sum by (topic) (increase(kafka_partition_current_offset{topic=~".+-dlq"}[1h]))',
                "{{topic}}",
            ),
        ),
        graph(
            Told("Set aside, by reason", "As the consumers count, in an hour.", units.Short),
            Query("sum by (reason) (increase(dead_letter_total[1h])) or vector(0)", "{{reason}}"),
        ),
    ]


def _broker() -> list[object]:
    return [
        graph(
            Told("Written", "Messages a second, by topic, dead letters left out.", units.Short),
            Query(
                f'sum by (topic) (rate(kafka_partition_current_offset{{topic!~".+-dlq"}}[{RATE}]))',
                "{{topic}}",
            ),
        ),
        graph(
            Told("Brokers", "Brokers that the cluster counts.", units.Short),
            Query("max(kafka_brokers)", "brokers"),
        ),
    ]
