"""Settings from the environment, and the policy that they define."""

import base64
from datetime import timedelta

import pytest

from risk.settings import Settings
from service_runtime.settings import load


@pytest.fixture
def environment(tmp_path, monkeypatch):
    secret = tmp_path / "secret"
    secret.write_text(base64.b64encode(bytes(32)).decode())
    names = {
        "PROFILE": "dev",
        "PORT": "3011",
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9092",
        "DATABASE_URL": "postgresql://risk@127.0.0.1/countersign",
        "DATABASE_PASSWORD_FILE": str(secret),
        "MAC_CONFIRM_RISK_FILE": str(secret),
        "MAC_COMPLIANCE_RISK_FILE": str(secret),
        "INTERNAL_CREDENTIAL_FILE": str(secret),
        "OFAC_URL": "http://127.0.0.1:3021",
        "KYC_URL": "http://127.0.0.1:3022",
    }
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_the_defaults_are_the_contracts_values(environment, build):
    policy = load(Settings).policy()
    assert policy.points == build.policy.points
    assert policy.levels == build.policy.levels
    assert (policy.velocity_payments, policy.velocity_window) == (5, timedelta(minutes=10))
    assert policy.usd_rates["USD"] == 1


@pytest.mark.parametrize(("given", "is_asked"), [("", False), ("http://127.0.0.1:3051", True)])
def test_rules_are_asked_where_their_address_is_set(environment, given, is_asked):
    environment.setenv("COMPLIANCE_URL", given)
    assert (load(Settings).compliance_url is not None) is is_asked


@pytest.mark.parametrize(("given", "is_asked"), [("", False), ("http://127.0.0.1:3052", True)])
def test_models_are_asked_where_their_address_is_set(environment, given, is_asked):
    environment.setenv("FRAUD_URL", given)
    assert (load(Settings).fraud_url is not None) is is_asked


def test_points_and_rates_can_be_set(environment):
    environment.setenv("AMOUNT_POINTS", '{"10": 1}')
    environment.setenv("USD_RATES", '{"USD": "1", "SEK": "0.09"}')
    environment.setenv("NEW_PAYEE_POINTS", "7")
    policy = load(Settings).policy()
    assert [(band.from_usd_minor, band.points) for band in policy.points.amounts] == [(1000, 1)]
    assert (str(policy.usd_rates["SEK"]), policy.points.new_payee) == ("0.09", 7)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("OFAC_URL", "ofac", "OFAC_URL"),
        ("COMPLIANCE_URL", "compliance", "COMPLIANCE_URL"),
        ("FRAUD_URL", "fraud", "FRAUD_URL"),
        ("FRAUD_POINTS", '{"101": 1}', "FRAUD_POINTS"),
        ("RULE_POINTS", '{"HIGH": 101}', "RULE_POINTS_HIGH"),
        ("USD_RATES", '{"USD": "0"}', "USD_RATES_USD"),
        ("USD_RATES", '{"XXX": "1"}', "USD_RATES_XXX"),
        ("AMOUNT_POINTS", '{"10": 101}', "AMOUNT_POINTS_10"),
        ("VELOCITY_PAYMENTS", "-1", "VELOCITY_PAYMENTS"),
        ("MEDIUM_FROM", "80", "must rise"),
    ],
)
def test_an_invalid_setting_is_named(environment, capsys, name, value, message):
    environment.setenv(name, value)
    with pytest.raises(SystemExit):
        load(Settings)
    assert message in capsys.readouterr().err
