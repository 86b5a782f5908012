"""Gateway, confirm and risk have the same currencies, because they read one setting."""

from importlib import import_module

import pytest
from pydantic_settings import BaseSettings

from confirm.settings import Settings as ConfirmSettings
from gateway.settings import Settings as GatewaySettings
from local_stack.inventory import load_inventory
from payment_schemas.currencies import USD_RATES, CurrencySettings
from risk.settings import Settings as RiskSettings

INVENTORY = load_inventory()
READERS = {"gateway", "confirm", "risk", "compliance", "fraud"}


class FromEnvironment(BaseSettings, CurrencySettings):
    """The rates alone, as every service reads them."""


def test_the_rates_are_an_option_of_the_services_that_read_them_and_of_no_other():
    services = {one.name for one in INVENTORY.ours}
    reading = {
        name
        for name in services
        if issubclass(import_module(f"{name}.settings").Settings, CurrencySettings)
    }
    given = {one.name for one in INVENTORY.ours if "USD_RATES" in one.options}

    assert reading == given == READERS


@pytest.mark.parametrize(
    ("rates", "currencies"),
    [(None, frozenset(USD_RATES)), ('{"USD":"1","KWD":"3.25"}', frozenset({"USD", "KWD"}))],
)
def test_one_value_supports_the_same_currencies_everywhere(rates, currencies, monkeypatch):
    if rates is not None:
        monkeypatch.setenv("USD_RATES", rates)
    given = FromEnvironment().model_dump()

    gateway, confirm, risk = (
        settings.model_construct(**given)
        for settings in (GatewaySettings, ConfirmSettings, RiskSettings)
    )

    assert gateway.currencies == confirm.policy().currencies == currencies
    assert frozenset(risk.policy().usd_rates) == currencies
