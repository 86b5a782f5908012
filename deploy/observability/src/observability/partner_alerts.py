"""The alerts on partner banks on Kafka."""

from observability.alert import Alert
from observability.timing import Timing

STATEMENT_WITHIN_H = 33
"""The statement of a day comes within 6 hours of its end; three more are ours."""


def partner_alerts(timing: Timing) -> list[Alert]:
    """Return the alerts on reports, then that on statements."""
    late, window = "max by (partner) (settlement_unanswered) > 0", timing.window("15m")
    ended = f'sum by (partner) (increase(settlement_total{{status=~"SETTLED|REJECTED"}}[{window}]))'
    return [
        Alert(
            "PartnerUnanswered",
            late,
            timing.hold("5m"),
            "ticket",
            "{{ $labels.partner }} is late with reports on {{ $value }} instructions",
        ),
        Alert(
            "PartnerSilent",
            f"{late} unless on (partner) {ended} > 0",
            timing.hold("10m"),
            "page",
            "{{ $labels.partner }} reports on nothing; {{ $value }} instructions are late",
        ),
        Alert(
            "PartnerSignatureRefused",
            _refused(timing.window("10m")),
            "0s",
            "page",
            "a message in {{ $labels.partner }}'s topic of reports is not signed by its key",
        ),
        Alert(
            "PartnerStatementMissing",
            f"max by (partner) (settlement_statement_age) > {STATEMENT_WITHIN_H * 3600}",
            timing.hold("5m"),
            "ticket",
            "no statement of {{ $labels.partner }} for the last day has come",
        ),
    ]


def _refused(window: str) -> str:
    """Return where the counter has grown or is new: it does not exist before its first record."""
    counted = 'dead_letter_total{reason=~"signature_.+"}'
    grown = f"sum by (topic) (increase({counted}[{window}])) > 0"
    new = f"(sum by (topic) ({counted}) unless sum by (topic) ({counted} offset {window}))"
    by_partner = r'"partner", "$1", "topic", "settlement\\.reports\\.(.+)\\.v1"'
    return f"label_replace({grown} or {new}, {by_partner})"
