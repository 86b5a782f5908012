"""Cost to the cent. Source of the comparators: native-payments-api.md, the cost comparison."""

from datetime import date
from types import MappingProxyType

import pytest

from charges.domain.tariffs import TARIFFS, Tariff, cost_minor, tariff_of
from payment_schemas.money import Money

DAY = date(2026, 11, 30)


@pytest.mark.parametrize(
    ("name", "amount", "cost"),
    [
        pytest.param("stripe_card", 1_000, 59, id="printed: $10 costs $0.59"),
        pytest.param("stripe_card", 5_000, 175, id="printed: $50 costs $1.75"),
        pytest.param("stripe_card", 10_000, 320, id="printed: $100 costs $3.20"),
        pytest.param("stripe_card_connect", 50_000, 1_605, id="printed: $500 costs $16.05"),
        pytest.param("stripe_card", 50_000, 1_480, id="the same without Connect: 14.50 + 0.30"),
        pytest.param("stripe_ach", 50_000, 400, id="0.8 %"),
        pytest.param("stripe_ach", 500_000, 500, id="at most $5"),
        pytest.param("stripe", 1_000, 59, id="29 + 30"),
        pytest.param("stripe", 1_017, 59, id="29.493 is rounded down"),
        pytest.param("stripe", 1_018, 60, id="29.522 is rounded up"),
        pytest.param("stripe", 10, 10, id="never more than the amount"),
    ],
)
def test_a_charge_costs_what_the_tariff_says_to_the_cent(name, amount, cost):
    assert cost_minor(name, Money(amount, "USD"), DAY) == cost


def test_the_row_of_1000_dollars_is_an_erratum():
    """Printed: $31.30. No price of the other rows gives it; docs/charges.md names the row."""
    thousand = Money(100_000, "USD")
    assert cost_minor("stripe_card", thousand, DAY) == 2_930
    assert cost_minor("stripe_card_connect", thousand, DAY) == 3_180


def test_the_fixed_part_is_that_of_the_currency():
    assert cost_minor("stripe", Money(1_000, "EUR"), DAY) == 29 + 25
    assert cost_minor("stripe", Money(1_000, "JPY"), DAY) == 29


def test_a_tariff_is_in_force_from_its_day_on(monkeypatch):
    old = Tariff(date(2020, 1, 1), 10_000, {})
    new = Tariff(date(2026, 1, 1), 20_000, {})
    monkeypatch.setattr("charges.domain.tariffs.TARIFFS", MappingProxyType({"x": (new, old)}))
    assert tariff_of("x", date(2025, 12, 31)) is old
    assert tariff_of("x", date(2026, 1, 1)) is new
    with pytest.raises(ValueError, match="no tariff"):
        tariff_of("x", date(2019, 12, 31))


def test_every_provider_has_a_tariff_today():
    assert all(tariff_of(name, DAY) for name in TARIFFS)
