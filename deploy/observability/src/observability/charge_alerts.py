"""The alerts on card payments."""

from observability.alert import Alert
from observability.timing import Timing

FAILING_SHARE = 0.5
"""Of the charges that end: cards decline a tenth, a provider that is down is routed around."""
LEAST = 20
"""Charges in the window: with fewer, a handful of bad cards is half of them."""


def charge_alerts(timing: Timing) -> list[Alert]:
    """Return the alerts on charges."""
    short, hour = timing.window("10m"), timing.window("1h")
    ended = f'increase(charges_total{{status=~"CAPTURED|DECLINED|FAILED"}}[{short}])'
    failed = f'increase(charges_total{{status=~"DECLINED|FAILED"}}[{short}])'
    return [
        Alert(
            "ChargeContradicted",
            f"sum by (provider) (increase(charge_contradictions_total[{hour}])) > 0",
            "0s",
            "page",
            "{{ $labels.provider }} contradicts what was decided about a charge",
        ),
        Alert(
            "ChargesFailing",
            f"sum({failed}) > {FAILING_SHARE} * sum({ended}) and sum({ended}) > {LEAST}",
            timing.hold("5m"),
            "page",
            "more than half of the charges are declined or fail",
        ),
        Alert(
            "ChargeDisputed",
            f'sum by (provider) (increase(charge_disputes_total{{status="OPEN"}}[{hour}])) > 0',
            "0s",
            "ticket",
            "a cardholder disputes a charge at {{ $labels.provider }}",
        ),
        Alert(
            "VaultKeyMissing",
            "max(vault_keys_missing) > 0",
            timing.hold("2m"),
            "page",
            "the key of stored cards is not in the vault's ring: their numbers cannot be opened",
        ),
    ]
