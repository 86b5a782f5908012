"""Kafka and the outbox: whether and when events arrive."""

from grafana_foundation_sdk.builders import dashboard as builder
from grafana_foundation_sdk.models import units

from observability.dashboards.panels import RATE, PanelText, Query, dashboard, graph


def messaging() -> builder.Dashboard:
    """Return the dashboard of topics, consumer groups and outboxes."""
    return dashboard(
        "Kafka and the outbox",
        "messaging",
        [("Consumers", _consumers()), ("Producers", _producers()), ("Broker", _broker())],
    )


def _consumers() -> list[object]:
    return [
        graph(
            PanelText(
                "Lag",
                "Messages that the slowest group has not read, by topic: the 15 greatest.",
                units.Short,
            ),
            Query("topk(15, max by (topic) (kafka:consumer_lag:sum))", "{{topic}}"),
        ),
        graph(
            PanelText("Time to drain", "Lag divided by the group's rate.", units.Seconds),
            Query("max by (group) (kafka:consumer_drain_seconds)", "{{group}}"),
        ),
        graph(
            PanelText(
                "Age when handled", "p95, oldest event of a batch, by service.", units.Seconds
            ),
            Query(
                "histogram_quantile(0.95, sum by (le, service_name)"
                f" (rate(event_age_seconds_bucket[{RATE}])))",
                "{{service_name}}",
            ),
        ),
        graph(
            PanelText("Batch size", "Average number of records in a batch.", units.Short),
            Query(
                f"sum by (service_name) (rate(consumer_batch_size_sum[{RATE}]))"
                f" / sum by (service_name) (rate(consumer_batch_size_count[{RATE}]))",
                "{{service_name}}",
            ),
        ),
        graph(
            PanelText("Read", "Messages a second, by group.", units.Short),
            Query(f"sum by (group) (rate(kafka_consumer_group_offset[{RATE}]))", "{{group}}"),
        ),
        graph(
            PanelText("Members", "Processes in each consumer group.", units.Short),
            Query("sum by (group) (kafka_consumer_group_members)", "{{group}}"),
        ),
    ]


def _producers() -> list[object]:
    return [
        graph(
            PanelText("Outbox", "Committed events that are not yet published.", units.Short),
            Query("sum by (service_name) (outbox_pending)", "{{service_name}}"),
        ),
        graph(
            PanelText(
                "Refused by the broker", "Producers recreated in an hour, by error.", units.Short
            ),
            Query(
                "sum by (service_name, error_class) (increase(producer_renewed_total[1h]))"
                " or vector(0)",
                "{{service_name}} {{error_class}}",
            ),
        ),
        graph(
            PanelText(
                "New dead letters", "Dead letters an hour, the 15 topics with most.", units.Short
            ),
            Query(
                "topk(15, sum by (topic) ("
                'increase(kafka_partition_current_offset{topic=~".+-dlq"}[1h])))',
                "{{topic}}",
            ),
        ),
        graph(
            PanelText(
                "New dead letters, by reason", "Counted by the consumers, in an hour.", units.Short
            ),
            Query("sum by (reason) (increase(dead_letter_total[1h])) or vector(0)", "{{reason}}"),
        ),
    ]


def _broker() -> list[object]:
    return [
        graph(
            PanelText(
                "Written",
                "Messages a second of the 20 busiest topics, without dead letters.",
                units.Short,
            ),
            Query(
                "topk(20, sum by (topic) ("
                f'rate(kafka_partition_current_offset{{topic!~".+-dlq"}}[{RATE}])))',
                "{{topic}}",
            ),
        ),
        graph(
            PanelText("Brokers", "Brokers of the cluster.", units.Short),
            Query("max(kafka_brokers)", "brokers"),
        ),
    ]
