"""What a provider costs: tariffs with dates, in integers, rounded once, to the minor unit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

from payment_schemas.money import Money

PPM = 1_000_000


@dataclass(frozen=True, slots=True)
class Tariff:
    """A price from a day on: parts per million of the amount, and a fixed part."""

    since: date
    share_ppm: int
    fixed_micro: Mapping[str, int]
    """Millionths of a minor unit, by currency; a currency that is missing has no fixed part."""
    most_micro: int | None = None
    """The most that one charge costs; None: no limit."""

    def cost_minor(self, money: Money) -> int:
        """Return the cost in minor units, half a unit rounded up, never more than the amount."""
        micro = money.amount_minor * self.share_ppm + self.fixed_micro.get(money.currency, 0)
        bounded = micro if self.most_micro is None else min(micro, self.most_micro)
        return min(money.amount_minor, (bounded + PPM // 2) // PPM)


def _fixed(**minor: int) -> Mapping[str, int]:
    return MappingProxyType({currency: amount * PPM for currency, amount in minor.items()})


_CARD = _fixed(USD=30, EUR=25, GBP=20)
TARIFFS: Mapping[str, Sequence[Tariff]] = MappingProxyType(
    {
        "stripe": (Tariff(date(2015, 1, 1), 29_000, _CARD),),
        "adyen": (Tariff(date(2015, 1, 1), 26_000, _fixed(USD=13, EUR=11, GBP=10)),),
        # What a payment would cost elsewhere: comparators of native-payments-api.md.
        "stripe_card": (Tariff(date(2015, 1, 1), 29_000, _CARD),),
        "stripe_card_connect": (Tariff(date(2015, 1, 1), 31_500, _CARD),),
        "stripe_ach": (Tariff(date(2015, 1, 1), 8_000, _fixed(), 500 * PPM),),
    }
)
"""By provider, the oldest first. Source: the published prices, and native-payments-api.md."""


def tariff_of(name: str, day: date) -> Tariff:
    """Return the tariff in force on a day. Raises ValueError where none is."""
    found = [one for one in TARIFFS[name] if one.since <= day]
    if not found:
        raise ValueError(f"{name}: no tariff on {day}")
    return max(found, key=lambda one: one.since)


def cost_minor(name: str, money: Money, day: date) -> int:
    """Return what a charge of this amount costs at a provider on a day."""
    return tariff_of(name, day).cost_minor(money)
