"""Gateway, confirm and risk agree on the currencies, because one setting reaches all three."""

from importlib import import_module

import pytest
import yaml

from confirm.settings import Settings as ConfirmSettings
from gateway.settings import Settings as GatewaySettings
from local_stack.layout import CHECKOUT
from risk.settings import Settings as RiskSettings
from service_runtime.settings import USD_RATES, CurrencySettings

INVENTORY = yaml.safe_load((CHECKOUT / "deploy/services.yaml").read_text())["services"]
READERS = {"gateway", "confirm", "risk"}


def test_the_rates_are_an_option_of_whoever_reads_them_and_of_nobody_else():
    services = {name for name, one in INVENTORY.items() if "." not in one["module"]}
    reading = {
        name
        for name in services
        if issubclass(import_module(f"{name}.settings").Settings, CurrencySettings)
    }
    given = {name for name, one in INVENTORY.items() if "USD_RATES" in one.get("options", ())}

    assert reading == given == READERS


@pytest.mark.parametrize(
    ("rates", "currencies"),
    [(None, frozenset(USD_RATES)), ('{"USD":"1","KWD":"3.25"}', frozenset({"USD", "KWD"}))],
)
def test_one_value_supports_the_same_currencies_everywhere(rates, currencies, monkeypatch):
    if rates is not None:
        monkeypatch.setenv("USD_RATES", rates)
    given = CurrencySettings(port=1).model_dump(include={"usd_rates"})

    gateway, confirm, risk = (
        settings.model_construct(**given)
        for settings in (GatewaySettings, ConfirmSettings, RiskSettings)
    )

    assert gateway.currencies == confirm.policy().currencies == currencies
    assert frozenset(risk.policy().usd_rates) == currencies
